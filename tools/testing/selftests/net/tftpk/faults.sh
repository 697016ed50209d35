#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Memory that is not there and disks that fail, on the debug kernel: see
# faults.py. Clients get an ERROR or ask again, commands say why, nothing is
# half done, and the next transfer is as it should be. The VM's end looks for
# what leaked.
set -euo pipefail
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
wants_debug_kernel
setup

make_file "$srv/file" 60000
make_file "$srv/small" 5000
chmod 644 "$srv/file" "$srv/small"

# A disk, written to before it is one that fails.
truncate -s 32M "$work/disk.img"
mkfs.ext4 -q "$work/disk.img"
mkdir "$srv/disk" "$srv/full"
mount -o loop "$work/disk.img" "$srv/disk"
make_file "$srv/disk/file" 400000
chmod 755 "$srv/disk"
chmod 644 "$srv/disk/file"
cp "$srv/disk/file" "$work/disk-file"
umount "$srv/disk"
TFTPK_LOOP=$(losetup --find --show --read-only "$work/disk.img")
export TFTPK_LOOP
mount -o ro "$TFTPK_LOOP" "$srv/disk"
losetup --detach "$TFTPK_LOOP"	# once it is unmounted

# A tmpfs where nothing fits any more.
mount -t tmpfs -o size=1m,mode=755 tmpfs "$srv/full"
truncate -s 100000 "$srv/full/hole"
cat /dev/zero >"$srv/full/rest" 2>/dev/null || true
chmod 644 "$srv/full/hole" "$srv/full/rest"

chmod 755 "$work"
ctl export "$srv" >/dev/null
# Silent clients are to be forgotten soon.
ctl set give-up 10
run_python faults.py "$@"
