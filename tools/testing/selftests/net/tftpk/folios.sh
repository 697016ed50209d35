#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Large folios that go and come while the server takes their pages.
set -euo pipefail
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
setup

mkdir -m 755 "$srv/xfs" "$srv/huge"
truncate -s 320M "$work/xfs.img"
mkfs.xfs -q "$work/xfs.img"
mount -o loop "$work/xfs.img" "$srv/xfs"
chmod 755 "$srv/xfs"
mount -t tmpfs -o mode=755,huge=always tmpfs "$srv/huge"
ctl export "$srv" >"$work/log"
run_python folios.py "$@"
