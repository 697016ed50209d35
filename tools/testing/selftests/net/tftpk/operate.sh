#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# What operators do with a server that runs: prefixes, kill, drain, test,
# monitor, top, metrics, and configurations in files.
# shellcheck disable=SC2317 # tests are called by name
# shellcheck disable=SC2016 # what looks like variables is for jq
set -euo pipefail
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
setup
# Others than root are to find the folders.
chmod 755 "$work"

mkdir -m 755 "$srv"/{root,boot,arm,'two words'} "$srv"/root/{boot,dir}
echo "of the root" | tee "$srv"/root/{file,bootfile,boot/hidden} >"$srv/root/dir/file"
echo "of boot" | tee "$srv/boot/file" >"$srv/boot/only"
echo "of arm" | tee "$srv/arm/file" >"$srv/two words/file"
make_file "$srv/root/large" 1000000

# Every test ends with nothing configured.
blank() { ctl sync - <<<"set source-burst 0" >/dev/null; }
# synced: make the configuration that of the standard input; $work/said tells
# what was changed.
synced() {
	{ echo "set source-burst 0"; cat; } >"$work/conf"
	ctl sync "$work/conf" >"$work/said"
}
said() { equal "what was changed" "$*" "$(<"$work/said")"; }
# quiet COMMAND...: it says nothing that matters.
quiet() { "$@" >/dev/null; }
# is_true FILTER [ARGUMENT...]: jq finds that of what it reads.
is_true() {
	jq -e "${@:2}" "$1" >"$work/verdict" || fail "not true: $1"
}

# served NAME FILE: a client that asks for NAME gets FILE of $srv.
served() { matches "served: $srv/$2, *" ctl test "$1"; }
# refused NAME PATTERN
refused() {
	local status=0 got
	got=$(ctl test "$1") || status=$?
	# shellcheck disable=SC2053 # it is a pattern
	[[ $status == 1 && $got == refused:\ $2 ]] ||
		fail "test $1: wanted '$2', got status $status, '$got'"
}
fetch_file() { in_client curl -gsSf "tftp://$SERVER4/$1"; }

# ---- prefixes ----

prefixes() {
	defer blank
	quiet ctl export "$srv/root"
	quiet ctl export "$srv/boot" --as boot
	quiet ctl export "$srv/arm" --as /boot//./arm/
	served file root/file
	served /bootfile root/bootfile
	served boot/only boot/only
	served //boot/file boot/file
	served boot/arm/file arm/file
	served 'boot\arm\file' arm/file
	# The longest prefix decides, even where it has no such file.
	refused boot/hidden 'ERROR 1, file not found*'
	refused boot/arm/only 'ERROR 1, *'
	equal "content" "of arm" "$(fetch_file boot/arm/file)"
	matches "*  /boot/arm  *$srv/arm"$'\n*' ctl show
	ctl -j show >"$work/said"
	is_true '.exports[2] | .path == $path and .prefix == "boot/arm" and .no_symlinks == false' \
		--arg path "$srv/arm" <"$work/said"
	fails 1 '*exported already*' ctl export "$srv/arm" --as boot/arm
	fails 1 '*not exported*' ctl unexport "$srv/arm" --as /
	matches "no longer serving $srv/arm as /boot/arm" ctl unexport "$srv/arm" --as /boot/arm
	refused boot/arm/file 'ERROR 1, *'
	# Without a prefix all of them go.
	quiet ctl export "$srv/boot"
	quiet ctl unexport "$srv/boot"
	served boot/hidden root/boot/hidden
}
it "prefixes: the longest that fits whole folders" prefixes

first_has_it() {
	defer blank
	quiet ctl export "$srv/boot"
	quiet ctl export "$srv/root"
	served file boot/file
	served bootfile root/bootfile
}
it "one prefix twice: the first that has the file" first_has_it

symlinks() {
	defer blank
	defer rm "$srv/root/link" "$srv/root/out"
	ln -s file "$srv/root/link"
	ln -s "$srv/boot" "$srv/root/out"
	quiet ctl export "$srv/root"
	quiet ctl export "$srv/root" --as strict --no-symlinks
	served link root/file
	served strict/file root/file
	refused out/only 'ERROR 1, *'
	refused strict/link 'ERROR *'
	matches '*no-symlinks*' ctl show
}
it "symbolic links stay inside, or are not followed" symlinks

# ---- test ----

whom() {
	defer blank
	defer chmod 644 "$srv/root/file"
	refused file 'nothing is exported*'
	quiet ctl export "$srv/root"
	matches "served: $srv/root/large, 1000000 bytes, by export *" ctl test large
	chmod 600 "$srv/root/file"
	refused file 'ERROR 2, access violation*'
	refused dir 'ERROR 2, *'
	quiet ctl drain
	refused large 'draining*undrain'
	quiet ctl undrain

	ip -n server route add 198.51.100.0/24 via "$CLIENT4"
	defer ip -n server route delete 198.51.100.0/24
	ctl set source-burst 10 >/dev/null
	matches "*$CLIENT4 is on the link of to-client: 10 requests at once*" \
		ctl test large --from "$CLIENT4"
	matches "*$CLIENT6 is on the link*" ctl test large --from "$CLIENT6"
	matches "*198.51.100.7 is behind the router $CLIENT4: 3 requests at once*" \
		ctl test large --from 198.51.100.7
	quiet ctl trust 198.51.100.0/29
	matches '*is trusted with 198.51.100.0/29: 10 *' ctl test large --from 198.51.100.7
	matches '*is behind the router*' ctl test large --from 198.51.100.8
	matches '*203.0.113.1 cannot be reached*' ctl test large --from 203.0.113.1
	ctl -j test large --from 198.51.100.7 >"$work/said"
	is_true '.served and .file == $file and .size == 1000000 and .error_code == null and
		.from.source == "trusted" and .from.network == "198.51.100.0/29" and .from.burst == 10' \
		--arg file "$srv/root/large" <"$work/said"
	ctl -j test dir >"$work/said" && fail "a folder would be served"
	is_true '.served == false and .error_code == 2 and .from == null' <"$work/said"
}
it "test tells the file, why not, and what the client may" whom

# ---- kill and drain ----

kill_transfers() {
	local id
	defer blank
	quiet ctl export "$srv/root"
	delayed 200ms
	slow_client large
	slow_client large "$SERVER6"
	mark
	id=$(ctl -j transfers | jq '.[0].id')
	fails 1 '*no such transfer*' ctl kill 4294967295
	fails 1 '*no such transfer*' ctl kill "$CLIENT4:9"
	fails 1 '*no such transfer*' ctl kill 203.0.113.1
	matches "ended transfer $id" ctl kill "$id"
	grew "1 -1" transfers_failed transfers_active
	matches "ended all transfers of $CLIENT6" ctl kill "$CLIENT6"
	grew "2 -2" transfers_failed transfers_active
	slow_client large
	id=$(ctl -j transfers | jq -r '.[0].client_port')
	ctl -j kill "$CLIENT4:$id" >"$work/said"
	is_true '.kill == {id: null, client_address: $client, client_port: $port}' \
		--arg client "$CLIENT4" --argjson port "$id" <"$work/said"
	equal "transfers" 0 "$(counter transfers_active)"
}
it "kill ends a transfer, or a client's" kill_transfers

drain() {
	defer blank
	quiet ctl export "$srv/root"
	delayed 200ms
	slow_client large
	matches 'taking no requests; 1 transfer is running' ctl drain
	matches $'draining, *' ctl show
	mark
	fails 28 'curl: *' in_client curl -gsS --max-time 2 "tftp://$SERVER4/file"
	grew "0 0" transfers_started transfers_active
	fails 1 '*not done after 1s*' ctl drain --wait=1s
	matches '*"transfers": 1*' ctl -j drain
	(wait_for waits_for_drain; ctl kill "$CLIENT4" >/dev/null) &
	matches 'taking no requests; no transfer is running' ctl drain --wait
	matches 'taking requests' ctl undrain
	equal "content" "of the root" "$(fetch_file file)"
}
waits_for_drain() { pgrep -f 'tftpkctl -n server drain --wait$' >/dev/null; }
it "drain refuses, waits, and ends by undrain" drain

# ---- monitor ----

# monitored [OPTION...]: a monitor that writes to $work/events, for the length
# of the test. It has begun when it tells of something.
monitored() {
	tftpkctl -n server monitor "$@" >"$work/events" 2>"$work/errors" &
	monitor=$!
	wait_for tells_something
}
tells_something() {
	fetch_file file >/dev/null
	[[ -s $work/events ]]
}
# event PATTERN: a line of it has to match.
event() {
	local line
	while read -r line; do
		# shellcheck disable=SC2053 # it is a pattern
		[[ $line != $1 ]] || return 0
	done <"$work/events"
	return 1
}

# probe NAME: ask for a size, then end the transfer, as boot ROMs do.
probe() {
	in_client /usr/bin/python3 -B -c '
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.settimeout(30)
s.sendto(b"\0\1" + sys.argv[2].encode() + b"\0octet\0tsize\0000\0", (sys.argv[1], 69))
packet, server = s.recvfrom(600)
assert packet[:2] == b"\0\6", packet
s.sendto(b"\0\5\0\10User aborted the transfer\0", server)
' "$SERVER4" "$1"
}

# told NAME TEXT: a client that asks for it gets that ERROR 0.
told() {
	fails 1 "tftp: server error: (0) $2" \
		in_client busybox tftp -g -r "$1" -l "$work/got" "$SERVER4"
}

events() {
	local client="$CLIENT4:+([0-9]) #+([0-9])" large="$srv/root/large as large"
	shopt -s extglob
	defer blank
	quiet ctl export "$srv/root"
	ctl set progress 25 >/dev/null
	monitored
	fetch_file large >/dev/null
	probe large
	fetch_file missing >/dev/null 2>&1 || true
	wait_for event "request  $client large"
	wait_for event "start    $client $large, 1000000 bytes, blocks of 512, window 1, timeout 6 s"
	wait_for event "progress $client $large, [23]?% of 1000000 bytes, *B/s"
	wait_for event "progress $client $large, [78]?% of 1000000 bytes, *B/s"
	wait_for event "complete $client $large, 1000000 bytes in +([0-9]).+([0-9]) s, * ?B/s, +([0-9]) resent, RTT *ms, blocks of 512, window 1, timeout 6 s"
	wait_for event "probe    $client $large, 1000000 bytes, blocks of 512, window 1"
	wait_for event "refused  $client missing: ERROR 1, file not found"
	if event "abort *"; then
		fail "a probe or a refusal was told as an abort"
	fi
	# Shorter than a client waits that is told below, or its second request comes
	# when it would be served.
	delayed 60ms
	slow_client large
	quiet ctl kill "$CLIENT4"
	wait_for event "abort    $client $large, * of 1000000 bytes in * s, *: ERROR 0, *"
	slow_client large
	touch "$srv/root/large"
	wait_for event "abort    $client $large, * of 1000000 bytes in * s, *: ERROR 0, *chang*"
	slow_client large
	kill %%
	wait_for event "abort    $client $large, * of 1000000 bytes in * s, *: the client is gone"
	quiet ctl set reply-at-limit on
	quiet ctl drain
	told large "server is draining"
	wait_for event "refused  $CLIENT4:+([0-9]) large: server is draining"
	quiet ctl undrain
	slow_client large
	quiet ctl set max-per-client 1
	told large "too many transfers of this client"
	wait_for event "refused  $CLIENT4:+([0-9]) large: too many transfers of this client"
	quiet ctl set max-per-client 0 max-transfers 1
	told large "too many transfers"
	wait_for event "refused  $CLIENT4:+([0-9]) large: too many transfers"
}
it "monitor tells who booted what, and tells probes from failures" events

events_json() {
	defer blank
	quiet ctl export "$srv/root"
	monitored -j
	fetch_file large >/dev/null
	probe large
	fetch_file 'no"such\file' >/dev/null 2>&1 || true
	wait_for event '*"refused"*'
	is_true '(map(select(.outcome == "completed" and .name == "large")) | length == 1 and (.[0] |
			.type == "end" and .file == $file and .client_address == $client and
			.server_address == $server and .size == 1000000 and .acknowledged == 1000000 and
			.block_size == 512 and .window_size == 1 and .timeout == 6 and .rtt > 0 and
			.duration > 0 and .rate > 0 and .time > 1600000000000 and .error_code == null)) and
		(map(select(.outcome == "probed")) | length == 1 and .[0].name == "large") and
		(map(select(.type == "refused")) | length == 1 and (.[0] | .error_code == 1 and
			.reason == "file not found" and .name == "no\"such\\\\file"))' \
		-s --arg file "$srv/root/large" --arg client "$CLIENT4" --arg server "$SERVER4" \
		<"$work/events"
}
it "monitor as JSON, an object a line" events_json

# crowd NAME...: ask for each from one port, and for the first from 40 others,
# all of it at one instant for the server.
crowd() {
	tc -n client qdisc add dev to-server root netem slot 1s 1s
	in_client /usr/bin/python3 -B -c '
import socket, sys
sockets = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(41)]
asked = [(sockets[0], name) for name in sys.argv[2:]]
asked += [(s, sys.argv[2]) for s in sockets[1:]]
for s, name in asked:
    s.sendto(b"\0\1" + name.encode() + b"\0octet\0", (sys.argv[1], 69))
for s in sockets:
    s.settimeout(0.5)
    try:
        while True:
            s.recv(600)
    except OSError:
        pass
' "$SERVER4" "$@"
	tc -n client qdisc delete dev to-server root
}

# Requests whose transfer ends before its file is open.
unopened() {
	shopt -s extglob
	local tries
	defer blank
	quiet ctl export "$srv/root"
	quiet ctl set max-unverified 1
	monitored
	for tries in {1..10}; do
		crowd file bootfile
		if event "refused  $CLIENT4:+([0-9]) #+([0-9]) *: it gave way to newer requests" &&
			event "refused  $CLIENT4:+([0-9]) #+([0-9]) file: the client began anew*"; then
			note "$tries tries"
			return
		fi
	done
	fail "neither evicted nor replaced: $(<"$work/events")"
}
it "monitor tells of requests that gave way to others" unopened

# room BYTES: what the buffer of a socket may hold.
room() { echo "$1" >/proc/sys/net/core/rmem_max; }

# Requests that nobody waits to be answered.
flood() {
	in_client /usr/bin/python3 -B -c '
import socket, sys
for _ in range(int(sys.argv[2])):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.sendto(b"\0\1file\0octet\0", (sys.argv[1], 69))
' "$SERVER4" "$1"
}

lossy() {
	defer blank
	quiet ctl export "$srv/root"
	# Whoever is not root gets the buffer that everybody gets.
	defer room "$(</proc/sys/net/core/rmem_max)"
	room 20000
	in_server setpriv --reuid 65534 --regid 65534 --clear-groups \
		tftpkctl monitor >"$work/events" &
	monitor=$!
	wait_for tells_something
	mark
	kill -STOP "$monitor"
	while [[ $(growth events_dropped) == 0 ]]; do
		flood 100
	done
	kill -CONT "$monitor"
	wait_for event 'lost     events came faster than they were read, +([0-9]) so far*'
	: >"$work/events"
	wait_for tells_something
}
it "monitor says what it lost, and goes on; it needs no privilege" lossy

closed() {
	defer blank
	quiet ctl export "$srv/root"
	# A pipe that nobody reads any more ends it without any event.
	timeout 30 tftpkctl -n server monitor > >(:) || fail "status $?"
}
it "monitor ends with its reader" closed

# ---- files ----

idempotent() {
	defer ip -n server link delete odd
	defer blank
	ip -n server link add odd type dummy
	mkdir -m 755 "$srv/"$'a "b\\\tc\n\xff'
	quiet ctl export "$srv/root"
	quiet ctl export "$srv/"$'a "b\\\tc\n\xff' --as 'x y' --uid 0 --gid 0 --no-symlinks
	quiet ctl listen '*' --single-port --broadcast
	quiet ctl listen "[$SERVER6]:1069"
	quiet ctl listen '[fe80::1%odd]:1070'
	quiet ctl listen 198.51.100.1:1071 dev odd
	quiet ctl trust 10.0.0.0/8
	quiet ctl trust 2001:db8::/32
	quiet ctl set give-up 1m port-range 40000-40100 zerocopy off max-pinned 17 progress 5
	quiet ctl drain
	ctl show >"$work/before"
	ctl save "$work/saved"
	equal "mode" 644 "$(stat -c %a "$work/saved")"
	[[ $(ctl save) == "$(<"$work/saved")" ]] || fail "save says otherwise"
	# A state, and no part of the configuration.
	matches 'set draining off' ctl sync "$work/saved"
	quiet ctl drain
	sed -i 's/^set gso.*/&/; $a set draining on' "$work/saved"
	matches 'nothing to change' ctl sync "$work/saved"
	fails 1 'tftpkctl: restore *: something is configured already*' ctl restore "$work/saved"
	ctl sync - </dev/null >/dev/null
	matches '*nothing is exported*nothing listens*' ctl show
	ctl -j restore "$work/saved" >"$work/said"
	is_true '.restore | length == 16 and .[0] == "set zerocopy off" and
		.[-3] == "listen 198.51.100.1:1071 dev odd"' <"$work/said"
	# Numbers of exports are the only difference.
	diff <(sed 's/^ *[0-9]* //' "$work/before") <(ctl show | sed 's/^ *[0-9]* //')
}
it "save and sync: nothing to change; restore: all of it" idempotent

survive() {
	defer blank
	synced <<-END
		listen *
		export $srv/root
		export "$srv/two words" --as words
	END
	delayed 200ms
	slow_client large
	mark
	synced <<-END
		# The same, but for what no transfer notices.
		set give-up 40s   max-transfers 77
		trust 10.1.2.3/8
		listen *
		listen 198.51.100.1:70
		export $srv/boot --as boot
		export $srv/root
	END
	said "set max-transfers 77
set give-up 40
trust 10.0.0.0/8
listen 198.51.100.1:70
unexport \"$srv/two words\" --as words
export $srv/boot --as boot"
	ctl sync "$work/conf" >"$work/said"
	said "nothing to change"
	grew "0 0 0" transfers_failed transfers_aborted transfers_active
	# Another user is another export.
	sed -i 's,/root$,& --uid 0,' "$work/conf"
	ctl sync "$work/conf" >"$work/said"
	said "unexport $srv/root --as /
export $srv/root --uid 0"
	grew "1 -1" transfers_failed transfers_active
}
it "sync changes what differs; a transfer survives it" survive

implicit() {
	defer blank
	quiet ctl export "$srv/root"
	delayed 200ms
	slow_client large
	mark
	synced <<<"export $srv/root"
	said "nothing to change"
	equal "a saved listener" 0 "$(ctl save | grep -c ^listen || true)"
	grew "0 0" transfers_failed transfers_active
	quiet ctl kill "$CLIENT4"
	# From listeners of its own back to those of an export.
	synced <<<"listen $SERVER4
export $srv/root"
	said "listen $SERVER4:69"
	synced <<<"export $srv/root"
	said "unlisten $SERVER4:69
listen 0.0.0.0:69
listen [::]:69"
	equal "content" "of the root" "$(fetch_file file)"
	ctl sync "$work/conf" >"$work/said"
	said "nothing to change"
}
it "a file without listeners stands for those of the first export" implicit

order() {
	defer blank
	synced <<<"export $srv/boot
export $srv/root"
	served file boot/file
	synced <<<"export $srv/root
export $srv/boot"
	served file root/file
	said "unexport $srv/boot --as /
export $srv/boot"
}
it "sync keeps the order that decides" order

renewed() {
	defer blank
	mkdir -m 755 "$srv/moving"
	defer rm -r "$srv/moving" "$srv/moved"
	echo old >"$srv/moving/page"
	synced <<<"export $srv/moving"
	mv "$srv/moving" "$srv/moved"
	mkdir -m 755 "$srv/moving"
	echo new >"$srv/moving/page"
	equal "content before" old "$(fetch_file page)"
	ctl sync "$work/conf" >"$work/said"
	said "unexport $srv/moving --as /
export $srv/moving"
	equal "content after" new "$(fetch_file page)"
	equal "exports" 1 "$(ctl -j show | jq '.exports | length')"
}
it "sync renews the export of a folder that was replaced" renewed

put_back() {
	defer blank
	synced <<<"set gso off
trust 10.0.0.0/8
listen $SERVER4
export $srv/root"
	ctl show >"$work/before"
	nsenter --net=/run/netns/server -- /usr/bin/python3 -B -c '
import signal, socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("", 1069))
signal.pause()
' &
	wait_for occupied
	fails 1 "tftpkctl: $work/broken:3:18: export: --uid nobody-at-all: no such user" \
		broken 'export /\n\n  export / --uid nobody-at-all'
	fails 1 "tftpkctl: $work/broken:2:8: export $srv/none: no such folder*" \
		broken "export $srv/boot\nexport $srv/none"
	diff "$work/before" <(ctl show)
	fails 1 "tftpkctl: sync $work/broken: listen *:1069: something listens there already*" \
		broken "set zerocopy off\nlisten $SERVER4:70\nlisten $SERVER4:1069\nexport $srv/boot"
	diff "$work/before" <(ctl show)
	equal "content" "of the root" "$(fetch_file file)"
}
# broken LINES
broken() {
	printf '%b\n' "$1" >"$work/broken"
	ctl sync "$work/broken"
}
occupied() { in_server grep -q ':042D ' /proc/net/udp; }
it "what cannot be had changes nothing" put_back

saving() {
	defer blank
	defer rm -f "$work/real" "$work/link" "$work/pipe"
	quiet ctl export "$srv/root"
	touch "$work/real"
	chmod 600 "$work/real"
	chown 65534 "$work/real"
	ln -s real "$work/link"
	ctl save "$work/link"
	[[ -L $work/link && $(tail -n 1 "$work/real") == "export $srv/root" ]] || fail "not by the link"
	equal "mode and owner" "600 65534" "$(stat -c '%a %u' "$work/real")"
	mkfifo "$work/pipe"
	cat "$work/pipe" >"$work/got" &
	ctl save "$work/pipe"
	wait $!
	cmp "$work/real" "$work/got"
	fails 1 'tftpkctl: save: cannot write /proc/nothing: *' ctl save /proc/nothing
	fails 1 'tftpkctl: save: cannot write /dev/full: *space*' ctl save /dev/full
	ctl -j save >"$work/said"
	is_true '.save == {file: null, lines: ["set source-burst 0", $line]}' \
		--arg line "export $srv/root" <"$work/said"
}
it "save replaces a file, not a link or a pipe" saving

# ---- limits of a path ----

# Twice what a page holds has to fit into one entry of a list.
longest() {
	local name deep=$srv/deep prefix
	defer blank
	printf -v name '%0200d' 0
	prefix=$name
	while ((${#deep} < 3880)); do deep+=/$name; done
	deep+=/${name:0:$((4092 - ${#deep}))}
	while ((${#prefix} < 3880)); do prefix+=/$name; done
	mkdir -p "$deep"
	defer rm -rf "$srv/deep"
	cp "$srv/root/large" "$deep/f"
	quiet ctl export "$srv/boot"
	quiet ctl export "$deep" --as "$prefix"
	quiet ctl export "$deep"
	quiet ctl export "$srv/root"
	ctl -j show >"$work/said"
	is_true '[.exports[].path] == [$boot, $deep, $deep, $root] and .exports[1].prefix == $prefix' \
		--arg boot "$srv/boot" --arg deep "$deep" --arg root "$srv/root" --arg prefix "$prefix" \
		<"$work/said"
	delayed 200ms
	slow_client large
	slow_client large "$SERVER6"
	nsenter --net=/run/netns/client -- curl -gsSf -o /dev/null "tftp://$SERVER4/f" &
	wait_for lists_deep "$deep/f"
	ctl save "$work/saved"
	matches 'nothing to change' ctl sync "$work/saved"
}
lists_deep() {
	ctl -j transfers >"$work/said"
	jq -e 'length == 3 and any(.[]; .file == $file)' --arg file "$1" "$work/said" >"$work/verdict"
}
it "paths of the greatest length are listed, and what follows them" longest

warm() {
	truncate -s 16M "$work/disk"
	mkfs.ext4 -q "$work/disk"
	mkdir -m 755 "$srv/disk"
	mount -o loop "$work/disk" "$srv/disk"
	defer umount "$srv/disk"
	mkdir "$srv/disk/tree"
	make_file "$srv/disk/tree/one" 300000
	make_file "$srv/disk/two" 40000
	drop_caches
	equal "pages cached before" "0 0" "$(cached "$srv/disk/tree/one") $(cached "$srv/disk/two")"
	matches "$srv/disk: 2 files, 340000 bytes *" ctl warm "$srv/disk"
	equal "pages cached after" "74 10" "$(cached "$srv/disk/tree/one") $(cached "$srv/disk/two")"
	fails 1 'tftpkctl: warm */none: No such file*' ctl warm "$srv/disk/none"
}
it "warm reads a tree into the page cache" warm

# ---- metrics, top ----

metrics() {
	ctl stats --openmetrics >"$work/metrics"
	ctl -j stats >"$work/stats"
	/usr/bin/python3 -B - "$work/metrics" "$work/stats" <<-'END'
		import json, re, sys
		text = open(sys.argv[1], encoding="ascii", newline="").read()
		stats = json.load(open(sys.argv[2]))
		# OpenMetrics 1.0, as far as families of one sample without labels go:
		# exposition = *family "# EOF" LF
		# family = "# TYPE " name " " type LF "# HELP " name " " text LF sample
		# sample = name ["_total"] " " number LF
		family = re.compile(
		    r"# TYPE ([a-zA-Z_:][a-zA-Z0-9_:]*) (counter|gauge)\n"
		    r"# HELP \1 ((?:[^\\\n\"]|\\[\\n\"])+)\n"
		    r"(\1(?:_total)?) (0|[1-9][0-9]*)\n")
		at, seen = 0, {}
		while match := family.match(text, at):
		    name, kind, _, sample, value = match.groups()
		    assert sample == name + ("_total" if kind == "counter" else ""), sample
		    assert not name.endswith(("_total", "_created", "_info", "_sum", "_count")), name
		    assert name not in seen, name
		    seen[name] = int(value)
		    at = match.end()
		assert text[at:] == "# EOF\n", text[at:]
		assert {f"tftpk_{key}" for key in stats} == set(seen)
		assert seen["tftpk_requests"] == stats["requests"] > 0
	END
}
it "metrics follow the grammar of OpenMetrics" metrics

# drive: run top on a terminal of its own; resize it, scroll, quit.
top() {
	defer blank
	quiet ctl export "$srv/root"
	delayed 200ms
	slow_client large
	slow_client large "$SERVER6"
	fails 1 'tftpkctl: top: needs a terminal*' ctl top
	/usr/bin/python3 -B - "$SERVER4" "$SERVER6" <<-'END'
		import fcntl, os, pty, re, select, struct, sys, termios, time

		def start(term):
		    pid, fd = pty.fork()
		    if not pid:
		        os.environ["TERM"] = term
		        os.execvp("tftpkctl", ["tftpkctl", "-n", "server", "top"])
		    return pid, fd

		def size(fd, lines, columns):
		    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

		def read(fd, wanted):
		    """What is printed, until it matches."""
		    got = b""
		    while not re.search(wanted, got, re.DOTALL):
		        if not select.select([fd], [], [], 60)[0]:
		            sys.exit(f"{wanted} did not come: {got}")
		        try:
		            got += os.read(fd, 65536)
		        except OSError:
		            sys.exit(f"ended without {wanted}: {got}")
		    return got

		pid, fd = start("linux")
		size(fd, 24, 80)
		read(fd, rb"2 transfers, .*CLIENT.*192\.0\.2\.2:.*/root/large.*\[[#.]+\d+%[#.]+\].*B/s.*"
		     rb"\[2001:db8::2\]:.*q quits")
		size(fd, 5, 120)
		read(fd, rb"2 transfers, .*192\.0\.2\.2:.*arrows")
		os.write(fd, b"\x1b[B")
		read(fd, rb"\[2001:db8::2")
		size(fd, 2, 10)
		time.sleep(0.5)
		size(fd, 24, 80)
		read(fd, rb"q quits")
		os.write(fd, b"q")
		assert os.waitpid(pid, 0)[1] == 0

		pid, fd = start("nonsense")
		read(fd, rb"unknown terminal 'nonsense'")
		assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 1
	END
}
it "top: 80 by 24, other sizes, no terminal" top

# ---- the end ----

unloaded() {
	quiet ctl export "$srv/root"
	monitored
	rmmod tftpk
	defer load
	local status=0
	wait "$monitor" || status=$?
	equal "status" 1 "$status"
	equal "message" "tftpkctl: monitor: the tftpk module was unloaded" "$(<"$work/errors")"
}
it "monitor ends when the module is unloaded" unloaded

run_tests "$@"
