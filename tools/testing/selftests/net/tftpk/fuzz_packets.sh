#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Packets that no client would send, by the thousand: the server stays up and
# goes on serving those who behave. TFTPK_FUZZ_SECONDS is the length of each
# test, TFTPK_FUZZ_SEED repeats one. See fuzz_packets.py.
set -euo pipefail
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
wants_debug_kernel
setup
make_file "$srv/file" 300000
make_file "$srv/small" 100
: >"$srv/empty"
chmod 644 "$srv"/*
ctl export "$srv" >"$work/log"
# Silent clients are to be forgotten soon.
ctl set give-up 2
run_python fuzz_packets.py "$@"
