#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Netlink messages that no tool would send: every command and attribute, cut,
# bent and of the wrong type, from the privileged, the unprivileged and the
# root of foreign user namespaces. Only the first may change anything.
# TFTPK_FUZZ_SECONDS is the length of each test, TFTPK_FUZZ_SEED repeats one.
# See fuzz_netlink.py.
set -euo pipefail
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
wants_debug_kernel
setup
make_file "$srv/file" 300000
mkdir -m 755 "$work/folder" "$work/folder/a" "$work/folder/b"
chmod 755 "$work"
in_server /usr/bin/python3 -B "$here/fuzz_netlink.py" "$@"
