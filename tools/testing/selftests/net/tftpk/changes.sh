#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Files that change while they are sent, on ext4, xfs, tmpfs and overlayfs.
set -euo pipefail
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
setup

# disk SYSTEM MIB [MKFS OPTION...]: mount a new file system of that kind.
disk() {
	local system=$1 image=$work/$1.image
	truncate -s "${2}M" "$image"
	"mkfs.$system" "${@:3}" "$image" >"$work/log"
	mkdir "$srv/$system"
	mount -o loop -t "$system" "$image" "$srv/$system"
}

modprobe -a loop xfs overlay
disk ext4 64 -q
disk xfs 300 -q
mkdir "$srv/tmpfs" "$srv/overlay"
mount -t tmpfs tmpfs "$srv/tmpfs"

# What the lower layer holds: a file for each test, since what was written to
# is in the upper one from then on.
mkdir "$work"/{lower,upper,work}
run_python changes.py --make "$work/lower"
mount -t overlay -o "lowerdir=$work/lower,upperdir=$work/upper,workdir=$work/work" \
	overlay "$srv/overlay"

chmod 755 "$srv"/*
ctl export "$srv" >"$work/log"
run_python changes.py "$@"
