# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# KTAP for shell scripts; sourced, never run. `plan`, a result each, `finish`.
# Nothing here is to be called as a condition: failures within would be ignored.

ktap_number=0
ktap_failed=0

# plan N: so many results are to come.
plan() {
	echo "KTAP version 1"
	echo "1..$1"
}

# result STATUS NAME
result() {
	((++ktap_number))
	if (($1)); then
		echo -n 'not '
		ktap_failed=1
	fi
	echo "ok $ktap_number $2"
}

# check NAME COMMAND [ARGUMENT...]: a result by the command, which runs under
# `set -e` in a subshell. What it says stands before it.
check() {
	local status
	set +e
	(set -e; "${@:2}") 2>&1 </dev/null | sed -u 's/^\(# \)\{0,1\}/# /'
	status=${PIPESTATUS[0]}
	set -e
	result "$status" "$1"
}

# indent: what a test prints, one level down. The last line may lack its newline.
indent() {
	local line
	while IFS= read -r line || [[ $line ]]; do
		printf '  %s\n' "$line"
	done
}

# group NAME COMMAND [ARGUMENT...]: the KTAP of a command, as one result.
group() {
	local status
	echo "  # Subtest: $1"
	set +e
	"${@:2}" </dev/null 2>&1 | indent
	status=${PIPESTATUS[0]}
	set -e
	result "$status" "$1"
}

# finish: exit with 0 if nothing failed.
finish() { exit "$ktap_failed"; }
