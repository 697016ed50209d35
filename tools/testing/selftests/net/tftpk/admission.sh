#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Limits, budgets, amplification, a flood and a boot storm.
set -euo pipefail
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
setup
ctl export "$srv" >"$work/log"
run_python admission.py "$@"
