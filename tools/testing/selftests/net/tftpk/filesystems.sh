#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Files of each kind of file system arrive as they are, whether the page cache
# holds them or not.
# shellcheck disable=SC2317 # tests are called by name
set -euo pipefail
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
setup

# What every file system gets: more than is read ahead, with an odd end; less
# than a page; a hole between data; nothing.
fill() {
	make_file "$1/large" 1200001
	make_file "$1/small" 1000
	make_file "$1/sparse" 5000
	truncate -s 300000 "$1/sparse"
	head -c 5000 /dev/urandom >>"$1/sparse"
	: >"$1/empty"
}

# on_loop NAME MKFS [ARGUMENT...]: a file system in a file.
on_loop() {
	truncate -s 320M "$work/$1.img"
	"${@:2}" "$work/$1.img" >/dev/null
	mkdir "$srv/$1"
	mount -o loop "$work/$1.img" "$srv/$1"
	chmod 755 "$srv/$1"
	rm -rf "$srv/$1/lost+found"
	fill "$srv/$1"
}

mkdir -m 755 "$srv"/{tmpfs,huge,squashfs,overlay} "$work/above"
mount -t tmpfs -o mode=755 tmpfs "$srv/tmpfs"
fill "$srv/tmpfs"
mount -t tmpfs -o mode=755,huge=always tmpfs "$srv/huge"
fill "$srv/huge"
make_file "$srv/huge/large" $((2 * 1024 * 1024))
on_loop ext4 mkfs.ext4 -q
on_loop ext4-1k mkfs.ext4 -q -b 1024
on_loop xfs mkfs.xfs -q
mksquashfs "$srv/tmpfs" "$work/squashfs.img" -quiet -no-progress >/dev/null
mount -o loop "$work/squashfs.img" "$srv/squashfs"

# From below, from above, and from below but copied up for a change.
mount -t tmpfs -o mode=755 tmpfs "$work/above"
mkdir -m 755 "$work/above/files" "$work/above/work"
mount -t overlay -o "lowerdir=$srv/squashfs,upperdir=$work/above/files,workdir=$work/above/work" \
	overlay "$srv/overlay"
make_file "$srv/overlay/upper" 100001
echo "one more line" >>"$srv/overlay/small"

filesystems=(tmpfs huge ext4 ext4-1k xfs squashfs overlay)
for fs in "${filesystems[@]}"; do
	seal "$srv/$fs"
done
ctl export "$srv" >/dev/null

# fetch_all FOLDER FETCH HOST [OPTION...]
fetch_all() {
	local folder=$1 fetch=$2 host=$3 path
	shift 3
	rm -rf "$work/got"
	mkdir "$work/got"
	for path in "$srv/$folder"/*; do
		"$fetch" "$host" "$folder/${path##*/}" "$work/got/${path##*/}" "$@"
	done
	same "$srv/$folder" "$work/got"
}

# Where there is a disk beneath, the cache really is empty, and the transfer
# has filled it again.
cold() {
	local file=$srv/$1/large
	drop_caches
	if [[ ${2-} == disk ]]; then
		equal "pages in the cache" 0 "$(cached "$file")"
	fi
	fetch_all "$1" fetch_atftp "$SERVER4" blksize 1428 windowsize 16
	if [[ ${2-} == disk ]]; then
		(($(cached "$file") * 4096 >= 1200001)) || fail "the cache holds only $(cached "$file") pages"
	fi
}

warm() {
	cat "$srv/$1"/* >/dev/null
	fetch_all "$1" fetch_atftp "$SERVER6" blksize 1428 windowsize 64
	fetch_all "$1" fetch_curl "$SERVER4" --tftp-blksize 1024
}

for fs in "${filesystems[@]}"; do
	disk=
	case $fs in
	ext4* | xfs | squashfs) disk=disk ;;
	esac
	it "$fs, cold" cold "$fs" $disk
	it "$fs, warm" warm "$fs"
done

# A file system that is mounted beneath an export later on is served too.
mounted_later() {
	mkdir "$srv/later"
	mount -t tmpfs -o mode=755 tmpfs "$srv/later"
	defer umount "$srv/later"
	make_file "$srv/later/file" 10000
	fetch_curl "$SERVER4" later/file "$work/later"
	cmp "$srv/later/file" "$work/later"
}
it "mounted after the export" mounted_later

run_tests "$@"
