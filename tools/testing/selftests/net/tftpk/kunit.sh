#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The unit tests in net/tftpk/tests/: what the module tftpk-test says of them,
# where the kernel has KUnit.
set -euo pipefail

results=/sys/kernel/debug/kunit
echo "KTAP version 1"
if ! modprobe -n tftpk-test 2>/dev/null; then
	echo "1..0 # SKIP this kernel has no KUnit"
	exit 4
fi
modprobe tftpk-test
trap 'rmmod tftpk-test' EXIT

suites=("$results"/tftpk-*)
echo "1..${#suites[@]}"
number=0
failed=0
for suite in "${suites[@]}"; do
	number=$((number + 1))
	# Each file is a test run of its own, with one result.
	sed -e '/^KTAP version 1$/d; /^1\.\.1$/d' \
		-e "s/^\(not \)\{0,1\}ok 1 /\1ok $number /" "$suite/results"
	! grep -q '^not ok' "$suite/results" || failed=1
done
exit "$failed"
