#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Ends of all kinds while 50 transfers are under way, TFTPK_ROUNDS (10) times
# each: the module, namespaces, exports, listeners and transfers go, interfaces
# and routes change, clients freeze. Afterwards nothing is left: no transfer, no
# object, no page, no reference to the file system. The VM's end looks for what
# leaked. See teardown.py.
set -euo pipefail
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
wants_debug_kernel
setup
rmmod tftpk

truncate -s 8M "$work/disk.img"
mkfs.ext4 -q "$work/disk.img"
mkdir "$srv/disk"
mount -o loop "$work/disk.img" "$srv/disk"
chmod 755 "$srv/disk" "$work"
make_file "$srv/disk/file" 4000000
chmod 644 "$srv/disk/file"
umount "$srv/disk"
TFTPK_LOOP=$(losetup --find --show "$work/disk.img")
export TFTPK_LOOP
run_python teardown.py "$@"
