# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# Shared by the scripts of this tree; sourced, never run.

# The tree that these scripts belong to.
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

# Whatever is fetched or built for tests lives here, outside the tree, and
# survives `make clean`.
cache=${TFTPK_CACHE:-${XDG_CACHE_HOME:-${HOME:=~}/.cache}/tftpk}

# Builds are per checkout, so that several do not mix.
# shellcheck disable=SC2034 # used by those who source this
work=$cache/tree-$(printf %s "$top" | sha256sum | cut -c1-12)

note() { printf '%s: %s\n' "${0##*/}" "$*" >&2; }
die() {
	note "$@"
	exit 1
}

# usage: print the comment that heads the script, which is its manual, and
# exit as for a wrong command line.
usage() {
	sed -n '3,/^[^#]/ { s/^# \{0,1\}//p }' "$0" >&2
	exit 2
}

# make_room DIR MB: make the folder DIR, for what takes MB. Exits with no_room.
no_room=28
make_room() {
	local free
	mkdir -p "$1" || die "cannot make $1: name another folder in TFTPK_CACHE"
	free=$(df --output=avail -BM "$1" | tr -dc '0-9')
	((free >= $2)) || {
		note "$2 MB are wanted in $1, $free are free: make room, or name another folder in TFTPK_CACHE"
		exit "$no_room"
	}
}

# fetch_debs DIR [APT-OPTION...] PACKAGE...: unpack packages of Debian into DIR.
fetch_debs() {
	local dir=$1 debs=$1/.debs
	shift
	mkdir "$debs"
	# apt drops its privileges for downloads where it can.
	chmod 755 "$dir"
	chmod 777 "$debs"
	(cd "$debs" && apt-get -q download "$@" >log 2>&1) || {
		die "cannot download Debian's packages ($(sed -n 's/^E: //p' "$debs/log" | head -n 1)):" \
			"does the mirror answer? Run apt-get update, and try again"
	}
	for deb in "$debs"/*.deb; do
		dpkg -x "$deb" "$dir"
	done
	rm -r "$debs"
}

# own_apt DIR LINE...: have apt look into what these lines of a sources.list name only, by
# lists of its own in DIR, never this machine's.
own_apt() {
	local dir=$1
	shift
	mkdir -p "$dir/lists/partial" "$dir/cache/archives/partial"
	printf 'deb %s\n' "$@" >"$dir/list"
	export APT_CONFIG=$dir/conf
	cat >"$APT_CONFIG" <<-END
		Dir::Etc::sourcelist "$dir/list";
		Dir::Etc::sourceparts "-";
		Dir::Etc::preferences "-";
		Dir::State::lists "$dir/lists";
		Dir::Cache "$dir/cache";
		Acquire::Languages "none";
		APT::Sandbox::User "root";
	END
}

# other_suite DIR SUITE: have apt look into that suite of Debian. Mirrors may lag behind,
# and a suite's signature tells for how long it holds.
other_suite() {
	own_apt "$1" "[check-valid-until=no] http://deb.debian.org/debian $2 main"
	apt-get -qq update
}

# What Debian's architectures are called by the kernel, and by compilers.
# shellcheck disable=SC2034 # used by those who source this
declare -A linux_arch=([arm64]=arm64 [arm64-16k]=arm64 [armhf]=arm [s390x]=s390) \
	triplet=([arm64]=aarch64-linux-gnu [arm64-16k]=aarch64-linux-gnu
		[armhf]=arm-linux-gnueabihf [s390x]=s390x-linux-gnu)

# other_arch DIR ARCH: have apt look for packages of another architecture, of Debian 12,
# as if none were installed. It is an error only if nothing is known of it.
other_arch() {
	own_apt "$1" 'http://deb.debian.org/debian bookworm main' \
		'http://deb.debian.org/debian bookworm-updates main' \
		'http://deb.debian.org/debian-security bookworm-security main'
	cat >>"$APT_CONFIG" <<-END
		Dir::State::status "$1/status";
		APT::Architecture "$2";
		APT::Architectures { "$2"; };
	END
	: >"$1/status"
	apt-get -qq update 2>"$1/log" || apt-cache show libc6 >/dev/null 2>&1 ||
		die "nothing is known of Debian's $2: does the mirror answer?"
}

# kernel_version DIR: which version of Debian's package the kernel is whose headers are in
# DIR/build.
kernel_version() {
	sed -n 's/.* Debian \([^ ]*\) .*/\1/p' "$1/build/include/generated/utsversion.h"
}

# untested VERSION: whether it is of a newer series than those in kernels.tested.
untested() {
	local newest
	newest=$({ grep -v '^#' "$top/tools/testing/kernels.tested"; echo "$1"; } |
		grep -oE '^[0-9]+\.[0-9]+' | sort -V | tail -n 1)
	! grep -q "^${newest//./\\.}[.-]" "$top/tools/testing/kernels.tested"
}

# with_lock NAME: hold the lock NAME until this shell ends.
with_lock() {
	make_room "$cache" 1
	exec {lock_fd}>"$cache/.lock-$1"
	flock "$lock_fd"
}

# libraries DIR: the shared libraries that the ELF files beneath DIR need, the
# dynamic linker included, one path a line. ldd starts a shell for each script, too.
libraries() {
	{ find "$1" -type f \( -perm /111 -o -name '*.so*' \) -print0 |
		LC_ALL=C xargs -0r grep -lZ $'^\x7fELF' | xargs -0r ldd 2>/dev/null || true; } | awk '
		$2 == "=>" && $3 ~ /^\// { print $3 }
		NF == 2 && $1 ~ /^\// && $2 ~ /^\(/ { print $1 }' | sort -u
}

# compile_python DIR: all Python beneath it, valid whatever times its files get.
# Those in an initramfs may get that of the boot, and to compile what a program
# imports took the debug kernel's VM 20 s.
compile_python() {
	/usr/bin/python3 -m compileall -q -f --invalidation-mode checked-hash "$1" >&2
}
