#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Real clients fetch files of sizes at which something begins or ends, over
# IPv4 and IPv6; then one file of more than 65,535 blocks, and a hundred
# clients at once.
# shellcheck disable=SC2317 # tests are called by name
set -euo pipefail
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
setup

# Around a block, a page and a window; what is beyond the first fill of the
# ring; and multiples of both block sizes, which end with an empty block.
sizes=(0 1 511 512 513 1428 8192 22847 22848 22849 91392 100003)

mkdir -m 755 "$srv"/{sizes,big,small-blocks,crowd}
for size in "${sizes[@]}"; do
	make_file "$srv/sizes/$size" "$size"
done
seal "$srv/sizes"
make_file "$srv/big/32M+1" $((32 * 1024 * 1024 + 1))
seal "$srv/big"
make_file "$srv/small-blocks/5M" 5000000
seal "$srv/small-blocks"
make_file "$srv/crowd/file" 40000
ctl export "$srv" >/dev/null

# every_file FOLDER FETCH HOST [OPTION...]
every_file() {
	local folder=$1 fetch=$2 host=$3 got=$work/got path n=0
	shift 3
	defer rm -rf "$got"
	mkdir "$got"
	mark
	for path in "$srv/$folder"/*; do
		"$fetch" "$host" "$folder/${path##*/}" "$got/${path##*/}" "$@"
		n=$((n + 1))
	done
	same "$srv/$folder" "$got"
	wait_for grew "$n $n 0 0 0 0" transfers_started transfers_completed \
		transfers_failed transfers_aborted requests_refused bytes_copied
}

# both NAME FETCH [OPTION...]: a test for IPv4 and one for IPv6.
both() {
	local name=$1 fetch=$2
	shift 2
	it "IPv4, $name" every_file sizes "$fetch" "$SERVER4" "$@"
	it "IPv6, $name" every_file sizes "$fetch" "$SERVER6" "$@"
}

# A hundred at once, two kinds of clients, both families. Without options: a
# second OACK, after a second in which such a crowd leaves a client no time to
# answer the first, ends atftp.
crowd() {
	local got=$work/crowd i active most=0 gate
	local -a pids=()
	defer rm -rf "$got"
	mkdir "$got"
	mkfifo "$got/gate"
	# Open for as long as anybody may come to it.
	exec {gate}<>"$got/gate"
	# So slow that many are there at one time, even if it takes half a minute
	# to start them.
	tc -n client qdisc add dev to-server root netem delay 100ms
	defer tc -n client qdisc delete dev to-server root
	mark
	for i in {0..99}; do
		{
			read -r _ <&"$gate"
			case $((i % 4)) in
			0) fetch_tftp "$SERVER4" crowd/file "$got/$i" ;;
			1) fetch_tftp "$SERVER6" crowd/file "$got/$i" ;;
			2) fetch_atftp "$SERVER4" crowd/file "$got/$i" ;;
			3) fetch_atftp "$SERVER6" crowd/file "$got/$i" ;;
			esac
		} &
		pids+=($!)
	done
	# A line for each: who comes late finds it waiting.
	printf '\n%.0s' {0..99} >&"$gate"
	exec {gate}>&-
	for i in "${pids[@]}"; do
		while kill -0 "$i" 2>/dev/null; do
			active=$(counter transfers_active)
			most=$((active > most ? active : most))
			nap
		done
		wait "$i"
	done
	note "at most $most at one time"
	((most > 20)) || fail "only $most at one time"
	for i in {0..99}; do
		cmp "$srv/crowd/file" "$got/$i"
	done
	wait_for grew "100 100 0 0 0 0" transfers_started transfers_completed \
		transfers_failed transfers_aborted requests_refused bytes_copied
	equal "transfers still active" 0 "$(counter transfers_active)"
}

both "curl" fetch_curl
it "IPv4, curl, no options" every_file sizes fetch_curl "$SERVER4" --tftp-no-options
it "IPv6, curl, block size 1428" every_file sizes fetch_curl "$SERVER6" --tftp-blksize 1428
both "tftp-hpa" fetch_tftp
both "atftp" fetch_atftp
both "atftp, window of 1" fetch_atftp windowsize 1
both "atftp, block size 1428, window of 4" fetch_atftp blksize 1428 windowsize 4
both "atftp, block size 512, window of 16" fetch_atftp blksize 512 windowsize 16
both "atftp, block size 1428, window of 16" fetch_atftp blksize 1428 windowsize 16
both "atftp, block size 1428, window of 64" fetch_atftp blksize 1428 windowsize 64
both "busybox" fetch_busybox
both "busybox, block size 1428" fetch_busybox -b 1428

it "IPv4, 65,537 blocks in lock step, curl" every_file big fetch_curl "$SERVER4"
it "IPv6, 78,126 blocks in windows of 64, atftp" \
	every_file small-blocks fetch_atftp "$SERVER6" blksize 64 windowsize 64
it "100 clients at once" crowd

run_tests "$@"
