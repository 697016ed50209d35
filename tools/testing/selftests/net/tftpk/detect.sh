#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# A file that changes while it is on its way: its transfer ends with an ERROR.
# One that is replaced, or changes in name and attributes only, arrives whole.
# See detect.py.
set -euo pipefail
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
setup

truncate -s 32M "$work/ext4.img"
mkfs.ext4 -q "$work/ext4.img"
mkdir -m 755 "$srv"/{tmpfs,ext4,overlay} "$work"/{below,above}
mount -t tmpfs -o mode=755 tmpfs "$srv/tmpfs"
mount -o loop "$work/ext4.img" "$srv/ext4"
mount -t tmpfs -o mode=755 tmpfs "$work/above"
mkdir -m 755 "$work/above/files" "$work/above/work"
make_file "$work/below/lower" 2000000
mount -t overlay -o "lowerdir=$work/below,upperdir=$work/above/files,workdir=$work/above/work" \
	overlay "$srv/overlay"

ctl export "$srv" >/dev/null
run_python detect.py "$@"
