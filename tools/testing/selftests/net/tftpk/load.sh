#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Ten thousand transfers at once, and a flood of forged requests while real
# clients come and go: all complete, and what a transfer takes is told.
# shellcheck disable=SC2317 # tests are called by name
set -euo pipefail
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
setup

"$here/tftpload" --make 10000 "$srv/small"
"$here/tftpload" --make 100000 "$srv/file"
chmod 644 "$srv/small" "$srv/file"
ctl export "$srv" >/dev/null

load_from() { nsenter --net=/run/netns/client -- "$here/tftpload" "$@" >"$work/figures"; }
figure() { jq ".$1" "$work/figures"; }
all_done() {
	equal "transfers that completed" "$1" "$(figure transfers)"
	equal "transfers that failed" 0 "$(figure failed)"
}

# The bytes that a slab cache takes, and its objects.
slab() {
	awk -v name="$1" '$1 == name { print $15 * $6 * 4096, $4 }' /proc/slabinfo
}

# What is to be seen while all transfers are there. The client calls it.
look() {
	counter transfers_active >"$work/active"
	slab tftpk_transfer >"$work/slab"
}

at_once() {
	local n=10000 bytes size
	mark
	# The last of them begin long after the first.
	ctl set give-up 600
	defer ctl set give-up 30
	declare -f look slab counter counters ctl fail >"$work/look.sh"
	echo look >>"$work/look.sh"
	WORK=$work load_from --data "$srv/small" --clients $n --starting 500 \
		--lossy --patience 5 --deadline 240 --hold "bash -c 'work=$work; . $work/look.sh'" \
		"$SERVER4" small || note "$(ctl stats | grep -v ' 0$')"
	all_done $n
	equal "transfers at one time" $n "$(<"$work/active")"
	wait_for idle
	grew $n transfers_completed
	grew "0 0" transfers_failed transfers_evicted

	read -r bytes size <"$work/slab"
	((bytes >= n * size)) || fail "$bytes bytes in the slab cache for $n objects of $size"
	note "a transfer: an object of $size bytes, $((bytes / n)) bytes with the cache's slack"
	note "$(growth blocks_sent blocks_retransmitted) blocks sent, repeated"
}
it "10,000 transfers at once" at_once

flood() {
	local by limited evicted i
	ctl set source-burst 64
	defer ctl set source-burst 0
	ip -n server route add default via "$CLIENT4"
	defer ip -n server route delete default
	for ((i = 100; i < 200; i++)); do
		echo "addr add 192.0.2.$i/24 dev to-server"
	done | ip -n client -batch -
	nsenter --net=/run/netns/client -- /usr/bin/python3 -B "$here/flood.py" >"$work/sent" &
	local flooder=$!
	wait_for flooded
	mark
	load_from --data "$srv/file" --clients 100 --transfers 400 --lossy --patience 1 \
		--blksize 1400 --windowsize 8 --bind 192.0.2.100 --spread 100 \
		"$SERVER4" file
	all_done 400
	read -r limited evicted < <(growth requests_limited transfers_evicted)
	kill $flooder
	wait $flooder
	note "$(<"$work/sent") forged requests; meanwhile $limited were limited, $evicted gave way"
	((limited + evicted > 100)) || fail "there was no flood"
	ctl set source-burst 0
	fetch_curl "$SERVER4" file "$work/file"
	cmp "$srv/file" "$work/file"
	wait_for idle
}
flooded() { (($(counter transfers_evicted) > 0)); }
it "forged requests by the thousand keep no client away" flood

run_tests "$@"
