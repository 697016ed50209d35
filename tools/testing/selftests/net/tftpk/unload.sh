#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The module goes whenever it is told to, and takes everything along: exports,
# transfers that are running, the slab cache, references to pages, to file
# systems and to ports. The same of unexport, and of a namespace that goes.
# shellcheck disable=SC2317 # tests are called by name
set -euo pipefail
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
setup

truncate -s 64M "$work/disk.img"
mkfs.ext4 -q "$work/disk.img"
mkdir "$srv/disk"
mount -o loop "$work/disk.img" "$srv/disk"
chmod 755 "$srv/disk"
make_file "$srv/disk/large" 8000000
make_file "$srv/disk/small" 100000
umount "$srv/disk"
rmmod tftpk

# begin: the module, and the disk with nothing in the cache.
begin() {
	mount -o loop "$work/disk.img" "$srv/disk"
	defer unmount_again
	load
	defer unload_again
	ctl set source-burst 0
}
unload_again() { ! loaded || rmmod tftpk; }
unmount_again() { ! is_mounted "$srv/disk" || umount "$srv/disk"; }

in_slabinfo() { grep -q '^tftpk_transfer ' /proc/slabinfo; }

# running [HOST]: two transfers of one family or both are under way.
running() {
	delayed 100ms
	slow_client large "$SERVER4"
	slow_client large "$SERVER6"
}

# pinned: pages that stay in the cache although nobody wants them.
pinned() {
	drop_caches
	cached "$srv/disk/large"
}
none_pinned() {
	local pages
	pages=$(pinned)
	((pages == 0))
}

slab() {
	in_slabinfo && fail "there before the module"
	begin
	in_slabinfo || fail "not there with the module"
	ctl export "$srv/disk"
	fetch_curl "$SERVER4" small "$work/small"
	cmp "$srv/disk/small" "$work/small"
	awk '$1 == "tftpk_transfer" { objects = $3 } END { exit !objects }' /proc/slabinfo ||
		fail "the cache was not used"
	wait_for idle
	rmmod tftpk
	in_slabinfo && fail "there after the module"
	umount "$srv/disk"
}
it "the slab cache goes with the module" slab

mounted() {
	begin
	ctl export "$srv/disk"
	fetch_curl "$SERVER4" small "$work/small"
	fails 32 '*busy*' umount "$srv/disk"
	rmmod tftpk
	umount "$srv/disk"
}
it "the file system is busy until the module goes" mounted

mounted_unexport() {
	begin
	ctl export "$srv/disk"
	fetch_curl "$SERVER4" small "$work/small"
	fails 32 '*busy*' umount "$srv/disk"
	ctl unexport "$srv/disk"
	umount "$srv/disk"
}
it "the file system is busy until unexport" mounted_unexport

pages() {
	begin
	ctl export "$srv/disk"
	fetch_atftp "$SERVER4" large "$work/large" blksize 1428 windowsize 64
	(($(cached "$srv/disk/large") > 1000)) || fail "it was not in the cache"
	wait_for idle
	equal "pages held after a transfer" 0 "$(pinned)"
	running
	(($(pinned) > 0)) || fail "no pages held during a transfer"
	rmmod tftpk
	equal "pages held by no module" 0 "$(pinned)"
	umount "$srv/disk"
}
it "pages are held during a transfer only" pages

rmmod_running() {
	begin
	ctl export "$srv/disk"
	running
	equal "transfers" 2 "$(counter transfers_active)"
	rmmod tftpk
	loaded && fail "still loaded"
	umount "$srv/disk"
	in_slabinfo && fail "the slab cache is still there"
	# Its clients are told, or see the port closed: they end.
	wait_for no_clients
}
no_clients() { [[ ! $(jobs -pr) ]]; }
it "rmmod ends transfers that are running" rmmod_running

unexport_running() {
	begin
	ctl export "$srv/disk"
	running
	mark
	ctl unexport "$srv/disk"
	grew "2 -2" transfers_failed transfers_active
	umount "$srv/disk"
	wait_for no_clients
}
it "unexport ends transfers that are running" unexport_running

unlisten_running() {
	begin
	ctl listen "$SERVER4"
	ctl listen "$SERVER6"
	ctl export "$srv/disk"
	running
	mark
	ctl unlisten "$SERVER6"
	grew "1 -1" transfers_failed transfers_active
	sending large 1
	ctl unlisten "$SERVER4"
	grew "2 -2" transfers_failed transfers_active
	wait_for no_clients
}
it "unlisten ends its transfers, and no others" unlisten_running

try_umount() { umount "$srv/disk" 2>"$work/umount"; }
namespace() {
	begin
	# A server that goes, beside one that stays.
	ip netns add passing
	ip -n passing link set lo up
	tftpkctl -n passing export "$srv/disk"
	nsenter --net=/run/netns/passing -- curl -gsSf -o "$work/small" tftp://127.0.0.1/small
	cmp "$srv/disk/small" "$work/small"
	tc -n passing qdisc add dev lo root netem delay 50ms
	nsenter --net=/run/netns/passing -- curl -gsSf -o /dev/null tftp://127.0.0.1/large &
	local client=$! before
	wait_for passing_active
	mkdir -m 755 "$srv/other"
	make_file "$srv/other/file" 1000
	ctl export "$srv/other"
	fails 32 '*busy*' umount "$srv/disk"
	ip netns delete passing
	# Until now the client has kept its namespace alive.
	kill "$client"
	before=$SECONDS
	wait_for try_umount
	note "the file system was free after $((SECONDS - before)) s"
	fetch_curl "$SERVER4" file "$work/file"
	cmp "$srv/other/file" "$work/file"
	rmmod tftpk
}
passing_active() { tftpkctl -n passing stats | grep -q '^transfers-active *1$'; }
it "a namespace that goes with exports and a transfer frees the file system" namespace

# Unload while clients keep asking, again and again.
storm() {
	local i
	mount -o loop "$work/disk.img" "$srv/disk"
	defer umount "$srv/disk"
	for i in 1 2 3; do
		while :; do
			in_client busybox tftp -g -r small -l "$work/storm.$i" -b 1428 "$SERVER4" || true
		done >/dev/null 2>&1 &
		disown
		defer kill $!
	done
	for i in 1 2 3 4 5; do
		load
		ctl set source-burst 0
		ctl export "$srv/disk"
		wait_for busy
		rmmod tftpk
		in_slabinfo && fail "the slab cache is still there"
	done
	true
}
busy() { (($(counter transfers_completed) > 2)); }
it "rmmod while clients keep asking" storm

run_tests "$@"
