#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# What scripts/trace/evidence says of transfers of a cached file, and that each
# of its verdicts can be a FAIL. See trace.py.
set -euo pipefail
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
setup

make_file "$srv/file" 4000000
make_file "$srv/small" 100
cat "$srv/file" "$srv/small" >/dev/null
ctl export "$srv" >/dev/null
run_python trace.py "$@"
