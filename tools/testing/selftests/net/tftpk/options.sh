#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Requests, options, modes and block numbers, packet by packet.
set -euo pipefail
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
setup
ctl export "$srv" >"$work/log"
run_python options.py "$@"
