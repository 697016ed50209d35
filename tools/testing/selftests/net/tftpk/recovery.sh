#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# What a percent of loss costs in time.
set -euo pipefail
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
setup
modprobe sch_netem
ctl export "$srv" >"$work/log"
run_python recovery.py "$@"
