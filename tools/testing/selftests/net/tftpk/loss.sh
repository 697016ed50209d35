#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Networks that lose, delay, reorder and copy packets. With --full all
# combinations, for hours; else those in which every pair of them occurs.
set -euo pipefail
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
setup
modprobe sch_netem
ctl export "$srv" >"$work/log"
run_python loss.py "$@"
