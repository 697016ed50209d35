#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# A transfer from its request to its end, packet by packet.
set -euo pipefail
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
setup
ctl export "$srv" >"$work/log"
run_python transfers.py "$@"
