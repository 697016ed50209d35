#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# tftpkctl and what it configures: exports, listeners, namespaces, settings;
# what is refused, in which words, and that nothing is left of it.
# shellcheck disable=SC2317 # tests are called by name
set -euo pipefail
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
setup
# Others than root are to find the folders.
chmod 755 "$work"

mkdir -m 755 "$srv/one" "$srv/two" "$srv/two words" "$srv/bücher"
mkdir -m 700 "$srv/private"
echo "the first" >"$srv/one/file"
echo "the second" >"$srv/two/file"
echo "of the second" >"$srv/two/only"
echo "in a folder with a blank" >"$srv/two words/file"
echo "in a folder with an umlaut" >"$srv/bücher/file"

# sockets [PORT]: how many UDP sockets there are in the server's namespace, the
# module's included.
sockets() {
	local where n=0 port=
	(($# == 0)) || printf -v port '%04X' "$1"
	while read -r _ where _; do
		[[ $where != *[0-9A-F]:*"$port" ]] || n=$((n + 1))
	done < <(in_server cat /proc/net/udp /proc/net/udp6)
	echo "$n"
}

# state: all that is configured, and how much listens.
state() {
	ctl show
	sockets
}
nothing_configured() {
	matches '*nothing is exported*nothing listens*' ctl show
	equal "sockets" 0 "$(sockets)"
}
# remember: the state as it is. unchanged: it still is that.
remember() { state >"$work/state"; }
unchanged() {
	state >"$work/now"
	diff "$work/state" "$work/now" || fail "the state is another one"
}

# serves TEXT [URL-PART [HOST]]: a client gets that text.
serves() {
	local host=${3:-$SERVER4} got
	rm -f "$work/got"
	fetch_curl "$host" "${2:-file}" "$work/got"
	got=$(<"$work/got")
	equal "content" "$1" "$got"
}
# serves_at TEXT HOST:PORT
serves_at() {
	local got
	got=$(in_client curl -gsSf "tftp://$2/file")
	equal "content at $2" "$1" "$got"
}

# silent HOST PORT: the port is closed; ICMP tells.
silent() {
	in_client /usr/bin/python3 -B -c '
import socket, sys
family = socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET
s = socket.socket(family, socket.SOCK_DGRAM)
s.connect((sys.argv[1], int(sys.argv[2])))
s.settimeout(30)
s.send(b"\0\1file\0octet\0")
try:
    sys.exit(f"answered: {s.recv(600)}")
except ConnectionRefusedError:
    pass
' "$1" "$2"
}

# occupy FAMILY PORT: another program has the port until the test is over.
occupy() {
	nsenter --net=/run/netns/server -- /usr/bin/python3 -B -c '
import signal, socket, sys
s = socket.socket(getattr(socket, sys.argv[1]), socket.SOCK_DGRAM)
if sys.argv[1] == "AF_INET6":
    s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
s.bind(("", int(sys.argv[2])))
signal.pause()
' "$1" "$2" &
	wait_for occupied "$2"
}
occupied() { (($(sockets "$1") > 0)); }

# ---- exports ----

alone() {
	local depends
	depends=$(modinfo -F depends "${TFTPK_KO:-tftpk}")
	equal "modules that it depends on" '' "$depends"
	nothing_configured
}
it "the module needs no other, and listens to nobody by itself" alone

at_once() {
	local said
	said=$(ctl export "$srv/one")
	defer ctl unexport "$srv/one"
	[[ $said == "serving $srv/one on "*":69"* ]] || fail "said: $said"
	matches "*  65534:65534  -        $srv/one"$'\n*' ctl show
	matches $'*\n0.0.0.0:69 *export*' ctl show
	matches $'*\n\\[::]:69 *export*' ctl show
	equal "sockets on port 69" 2 "$(sockets 69)"
	serves "the first"
	serves "the first" file "$SERVER6"
}
it "an export is served on port 69, IPv4 and IPv6" at_once

unexport() {
	ctl export "$srv/one"
	equal "sockets on port 69" 2 "$(sockets 69)"
	serves "the first"
	ctl unexport "$srv/one"
	nothing_configured
	silent "$SERVER4" 69
	silent "$SERVER6" 69
	fails 1 "tftpkctl: unexport $srv/one: *not exported*" ctl unexport "$srv/one"
}
it "unexport ends listeners" unexport

several() {
	exported "$srv/one"
	ctl export "$srv/two"
	serves "the first"
	serves "of the second" only
	ctl unexport "$srv/two"
	serves "the first"
	equal "sockets on port 69" 2 "$(sockets 69)"
	fails 68 'curl: *' fetch_once only
}
fetch_once() { in_client curl -gsSf "tftp://$SERVER4/$1"; }
it "two exports; one goes" several

relative() {
	cd "$srv"
	ctl export one
	serves "the first"
	ctl unexport ./two/../one
	cd /
	ctl export "$srv/../srv//one/."
	matches "*  $srv/one"$'\n*' ctl show
	ctl unexport "$srv/one"
	ln -s one "$srv/link"
	ctl export "$srv/link"
	matches "*  $srv/one"$'\n*' ctl show
	ctl unexport "$srv/link"
}
it "an export by a relative path or a link" relative

odd_names() {
	exported "$srv/two words"
	serves "in a folder with a blank"
	ctl unexport "$srv/two words"
	ctl export "$srv/bücher"
	serves "in a folder with an umlaut"
	matches "*  $srv/bücher"$'\n*' ctl show
	ctl unexport "$srv/bücher"
	ctl export "$srv/two words"
}
it "folders with blanks and umlauts" odd_names

removed() {
	mkdir -m 755 "$srv/removed"
	ctl export "$srv/removed"
	rmdir "$srv/removed"
	ctl unexport "$srv/removed"
	equal "sockets" 0 "$(sockets)"
}
it "the export of a folder that was removed" removed

refused_export() {
	remember
	fails 1 "tftpkctl: export $srv/nothing: no such folder*" ctl export "$srv/nothing"
	fails 1 "tftpkctl: export $srv/one/file: not a folder*" ctl export "$srv/one/file"
	fails 1 "tftpkctl: export $srv/one/file/x: not a folder*" ctl export "$srv/one/file/x"
	fails 1 "tftpkctl: export /dev/null: not a folder*" ctl export /dev/null
	fails 1 "tftpkctl: export $srv/private: *may not enter*" ctl export "$srv/private"
	fails 2 "tftpkctl: *no such user*" ctl export "$srv/one" --uid nobody-at-all
	unchanged
	nothing_configured
	# And beside an export that stands.
	exported "$srv/one"
	remember
	fails 1 "tftpkctl: export $srv/one: *exported already*" ctl export "$srv/one"
	fails 1 "tftpkctl: export *exported already*" ctl export "$srv/two/../one"
	fails 1 "tftpkctl: export $srv/nothing: *" ctl export "$srv/nothing"
	fails 1 "tftpkctl: export $srv/private: *" ctl export "$srv/private"
	unchanged
	serves "the first"
}
it "missing, no folder, twice, not to be entered: refused" refused_export

other_user() {
	# Who may enter is served: the refusal was about that.
	exported "$srv/private" --uid 0 --gid 0
	matches "* 0:0 *$srv/private"$'\n*' ctl show
}
it "a private folder is exported to its owner" other_user

# ---- who may ----

in_words() {
	local what words='*CAP_NET_ADMIN*root*'
	exported "$srv/one"
	remember
	for what in "export $srv/two" "unexport $srv/one" "listen $SERVER4" "set gso off"; do
		# shellcheck disable=SC2086 # words
		fails 1 "tftpkctl: ${what%% *} $words" in_server \
			setpriv --bounding-set=-net_admin --inh-caps=-net_admin tftpkctl $what
		# shellcheck disable=SC2086
		fails 1 "tftpkctl: ${what%% *} $words" in_server \
			setpriv --reuid 65534 --regid 65534 --clear-groups tftpkctl $what
	done
	unchanged
	serves "the first"
	# The same with that capability and no other does it.
	in_server setpriv --bounding-set=-all,+net_admin --inh-caps=-all tftpkctl export "$srv/two"
	ctl unexport "$srv/two"
}
it "without CAP_NET_ADMIN: EPERM in words, nothing changes" in_words

# with_caps USER CAPABILITIES COMMAND...: as that user, with these and no others.
with_caps() {
	in_server setpriv --reuid "$1" --regid "$1" --clear-groups --bounding-set="-all,$2" \
		--inh-caps="-all,$2" --ambient-caps="-all,$2" tftpkctl "${@:3}"
}
other_owner() {
	local user
	exported "$srv/one"
	remember
	for user in 1000 0; do
		fails 1 'tftpkctl: export *CAP_SETUID' with_caps $user +net_admin export "$srv/two" --uid 33
		fails 1 'tftpkctl: export *CAP_SETGID' with_caps $user +net_admin export "$srv/two" --gid 33
		fails 1 'tftpkctl: export *CAP_SETGID' \
			with_caps $user +net_admin,+setuid export "$srv/two" --uid 33 --gid 33
	done
	fails 1 'tftpkctl: export *CAP_SETUID' with_caps 1000 +net_admin export "$srv/two" --uid 0
	fails 1 'tftpkctl: export *CAP_SETGID' with_caps 1000 +net_admin export "$srv/two" --gid 0
	unchanged
	# As himself, as nobody, and as others by the capabilities for that.
	for user in 1000 65534; do
		with_caps 1000 +net_admin export "$srv/two" --uid $user --gid $user
		ctl unexport "$srv/two"
	done
	with_caps 1000 +net_admin,+setuid,+setgid export "$srv/two" --uid 0 --gid 33
	matches "* 0:33 *$srv/two"$'\n*' ctl show
	ctl unexport "$srv/two"
	# His own is that of both: who opened the socket, and who sends.
	with_caps 0 +net_admin export "$srv/two" --uid 0 --gid 0
	ctl unexport "$srv/two"
	borrowed
	unchanged
}
# A socket that user 1000 opened with CAP_NET_ADMIN alone, used by root.
borrowed() {
	local said
	said=$(in_server /usr/bin/python3 -B - "$srv/two" <<'END'
import os, socket, struct, subprocess, sys

# To ask for the family takes no privilege.
def ask(sock, family, flags, command, attributes):
    body = struct.pack("=BBH", command, 1, 0) + attributes
    sock.send(struct.pack("=IHHII", 16 + len(body), family, flags, 1, 0) + body)
    return sock.recv(65536)

def attr(number, value):
    size = 4 + len(value)
    return struct.pack("=HH", size, number) + value + bytes(-size % 4)

here, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
opener = ["setpriv", "--reuid", "1000", "--regid", "1000", "--clear-groups",
          "--inh-caps=-all,+net_admin", "--ambient-caps=-all,+net_admin",
          "/usr/bin/python3", "-c", "import socket; "
          "nl = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 16); "
          f"socket.send_fds(socket.socket(fileno={there.fileno()}), [b'x'], [nl.fileno()])"]
subprocess.run(opener, pass_fds=[there.fileno()], check=True)
_, fds, _, _ = socket.recv_fds(here, 10, 1)
nl = socket.socket(fileno=fds[0])
reply = ask(nl, 16, 1, 3, attr(2, b"tftpk\0"))
family = next(struct.unpack_from("=H", reply, at + 4)[0] for at in range(20, len(reply), 4)
              if struct.unpack_from("=HH", reply, at) == (6, 1))
path = attr(2, os.fsencode(sys.argv[1]) + b"\0")
for more in (attr(3, struct.pack("=I", 0)), attr(4, struct.pack("=I", 0)), b""):
    reply = ask(nl, family, 5, 1, path + more)
    kind = struct.unpack_from("=H", reply, 4)[0]
    print(struct.unpack_from("=i", reply, 16)[0] if kind == 2 else "done", end=" ")
END
	)
	equal "answers to a borrowed socket" "-1 -1 done " "$said"
	ctl unexport "$srv/two"
}
it "CAP_NET_ADMIN alone: exports as nobody or as oneself, nobody else's files" other_owner

container() {
	# Its root has every capability over a namespace of its own, and none
	# that counts.
	fails 1 'tftpkctl: export *CAP_NET_ADMIN*' \
		unshare --user --map-root-user --net tftpkctl export "$srv/one"
	fails 1 'tftpkctl: set *CAP_NET_ADMIN*' \
		unshare --user --map-root-user --net tftpkctl set gso off
	unshare --net tftpkctl export "$srv/one"
}
it "a container's root must not export" container

readers() {
	local command
	exported "$srv/one"
	for command in show stats transfers get; do
		in_server setpriv --reuid 65534 --regid 65534 --clear-groups \
			tftpkctl $command >"$work/said"
		[[ -s $work/said ]] || fail "$command tells nothing"
	done
}
it "everybody may look" readers

usage() {
	remember
	fails 2 'tftpkctl: *' ctl
	fails 2 'tftpkctl: *' ctl exprot "$srv/one"
	fails 2 'tftpkctl: *' ctl export
	fails 2 'tftpkctl: *' ctl export "$srv/one" "$srv/two"
	fails 2 'tftpkctl: *' ctl --frob show
	fails 2 'tftpkctl: *' ctl listen 1.2.3
	fails 2 'tftpkctl: *' ctl listen "$SERVER4:0"
	fails 2 'tftpkctl: *' ctl set gso maybe
	fails 2 'tftpkctl: *' ctl set gso off zerocopy maybe
	fails 2 'tftpkctl: *' ctl set max-blksize 1
	fails 1 'tftpkctl: *no such network namespace*' tftpkctl -n nowhere show
	unchanged
}
it "wrong usage: status 2, nothing changes" usage

# ---- listeners ----

explicit() {
	exported "$srv/one"
	defer ctl unlisten "$SERVER4:1069"
	ctl listen "$SERVER4:1069"
	matches $'*\n'"$SERVER4:1069 *listen *" ctl show
	equal "sockets on port 69" 0 "$(sockets 69)"
	equal "sockets on port 1069" 1 "$(sockets 1069)"
	silent "$SERVER4" 69
	serves_at "the first" "$SERVER4:1069"
	silent "$SERVER6" 1069
	ctl listen "[$SERVER6]:1070"
	defer ctl unlisten "[$SERVER6]:1070"
	serves_at "the first" "[$SERVER6]:1070"
	serves_at "the first" "$SERVER4:1069"
}
it "listen replaces what an export made" explicit

listen_first() {
	ctl listen "$SERVER4"
	exported "$srv/one"
	equal "sockets on port 69" 1 "$(sockets 69)"
	serves "the first"
	silent "$SERVER6" 69
	ctl unlisten "$SERVER4"
	equal "sockets" 0 "$(sockets)"
	silent "$SERVER4" 69
	matches "*$srv/one*nothing listens*" ctl show
}
it "a listener from before the export stays the only one" listen_first

everywhere() {
	exported "$srv/one"
	ctl listen '*:1069'
	serves_at "the first" "$SERVER4:1069"
	serves_at "the first" "[$SERVER6]:1069"
	silent "$SERVER4" 69
	ctl unlisten '*:1069'
	equal "sockets" 0 "$(sockets)"
}
it "listen on all addresses" everywhere

device() {
	exported "$srv/one"
	ctl listen '*' dev to-client
	defer ctl unlisten '*' dev to-client
	serves "the first"
	matches $'*\n0.0.0.0:69 *to-client *listen*' ctl show
	ctl listen '*:1069' dev lo
	defer ctl unlisten '*:1069' dev lo
	equal "content by lo" "the first" \
		"$(in_server curl -gsSf tftp://127.0.0.1:1069/file)"
	silent "$SERVER4" 1069
	fails 1 'tftpkctl: *no interface no-such*' ctl listen '*' dev no-such
}
it "listen on one interface" device

future_address() {
	exported "$srv/one"
	ctl listen 192.0.2.77
	defer ctl unlisten 192.0.2.77
	ip -n server addr add 192.0.2.77/24 dev to-client
	defer ip -n server addr delete 192.0.2.77/24 dev to-client
	serves "the first" file 192.0.2.77
}
it "listen on an address before it is there" future_address

refused_listen() {
	exported "$srv/one"
	occupy AF_INET 1069
	remember
	# Where this fails implicit listeners are there again, and there is no
	# half of a listener for both families.
	fails 1 "tftpkctl: listen $SERVER4:1069: *listens there*" ctl listen "$SERVER4:1069"
	unchanged
	fails 1 "tftpkctl: listen \\*:1069: *listens there*" ctl listen '*:1069'
	unchanged
	serves "the first"
	serves "the first" file "$SERVER6"
	# Beside a listener that was asked for.
	ctl listen "$SERVER4:1070"
	defer ctl unlisten "$SERVER4:1070"
	remember
	fails 1 "tftpkctl: listen $SERVER4:1069: *listens there*" ctl listen "$SERVER4:1069"
	fails 1 "tftpkctl: listen $SERVER4:1070: already*" ctl listen "$SERVER4:1070"
	fails 1 "tftpkctl: unlisten $SERVER4:1071: not listening*" ctl unlisten "$SERVER4:1071"
	unchanged
	serves_at "the first" "$SERVER4:1070"
}
it "listen where another program is, or twice: refused" refused_listen

# taken FAMILY: port 69 has another owner.
taken() {
	occupy "$1" 69
	remember
	fails 1 "tftpkctl: export $srv/one: cannot listen on UDP port 69*" ctl export "$srv/one"
	unchanged
	matches '*nothing is exported*nothing listens*' ctl show
	equal "sockets" 1 "$(sockets)"
	# It works beside that one.
	ctl listen "$SERVER4:1069"
	defer ctl unlisten "$SERVER4:1069"
	exported "$srv/one"
	serves_at "the first" "$SERVER4:1069"
}
it "export where another program has port 69 of IPv4" taken AF_INET
it "export where another program has port 69 of IPv6" taken AF_INET6

# ---- namespaces, families ----

isolated() {
	exported "$srv/one"
	matches '*nothing is exported*nothing listens*' tftpkctl -n client show
	silent 127.0.0.1 69
	# Each serves its own, on the same port.
	tftpkctl -n client export "$srv/two"
	defer tftpkctl -n client unexport "$srv/two"
	equal "content" "the second" "$(in_client curl -gsSf tftp://127.0.0.1/file)"
	serves "the first"
	fails 68 'curl: *' fetch_once only
	tftpkctl -n client set give-up 7
	equal "give-up here" 30 "$(ctl get give-up)"
	equal "give-up there" 7 "$(tftpkctl -n client get give-up)"
	matches $'requests *1\nrequests-*' tftpkctl -n client stats
}
it "namespaces do not see each other" isolated

by_path() {
	exported "$srv/one"
	matches "*$srv/one*" tftpkctl -n /run/netns/server show
	matches "*$srv/one*" tftpkctl show --netns server
	matches "*$srv/one*" in_server tftpkctl show
	matches '*nothing is exported*' tftpkctl show
}
it "a namespace by name, by path, and from inside" by_path

sysctl_v6() {
	# shellcheck disable=SC2016 # for the inner shell
	in_server bash -c 'for f in /proc/sys/net/ipv6/conf/{all,default,to-client}; do
		echo "$1" >"$f/disable_ipv6"; done' - "$1"
}
without_v6() {
	sysctl_v6 1
	defer ip -n server addr add "$SERVER6/64" dev to-client nodad
	defer sysctl_v6 0
	equal "IPv6 addresses" '' "$(ip -n server -6 -o addr show dev to-client)"
	exported "$srv/one"
	serves "the first"
	ctl unexport "$srv/one"
	ctl listen '*:1069'
	defer ctl unlisten '*:1069'
	ctl export "$srv/one"
	serves_at "the first" "$SERVER4:1069"
}
it "IPv6 switched off" without_v6

v4_only() {
	ctl listen 0.0.0.0
	defer ctl unlisten 0.0.0.0
	exported "$srv/one"
	serves "the first"
	silent "$SERVER6" 69
}
it "IPv4 only" v4_only

v6_only() {
	ctl listen ::
	defer ctl unlisten ::
	exported "$srv/one"
	serves "the first" file "$SERVER6"
	silent "$SERVER4" 69
}
it "IPv6 only" v6_only

# ---- settings, JSON ----

settings() {
	local key value
	# As the manual has them.
	while read -r key value; do
		equal "$key" "$value" "$(ctl get "$key")"
	done <<-END
		zerocopy on
		gso on
		detect-changes on
		max-transfers 10000
		max-blksize 65464
		max-windowsize 64
		give-up 30
	END
	defer ctl set max-windowsize 64 give-up 30 gso on
	ctl set max-windowsize 8 give-up 1m gso off
	equal "max-windowsize" 8 "$(ctl get max-windowsize)"
	equal "give-up" 60 "$(ctl get give-up)"
	equal "gso" off "$(ctl get gso)"
	remember
	fails 2 'tftpkctl: *' ctl set max-windowsize 9 give-up 0
	unchanged
}
it "settings: defaults, changes, all or none" settings

limits() {
	exported "$srv/one"
	defer ctl set max-blksize 65464 max-windowsize 64
	ctl set max-blksize 600 max-windowsize 3
	# atftp tells what it was granted.
	in_client atftp --verbose --trace --option "blksize 1000" --option "windowsize 9" \
		-g -r file -l "$work/got" "$SERVER4" >"$work/said" 2>&1
	grep -q 'blksize: 600' "$work/said" || fail "$(<"$work/said")"
	grep -q 'windowsize: 3' "$work/said" || fail "$(<"$work/said")"
}
it "settings: what they limit" limits

# keep NAME COMMAND...: its JSON, for json_output.
keep() { ctl -j "${@:2}" >"$work/json/$1"; }
json_output() {
	local file
	local -a files=()
	make_file "$srv/one/large" 1000000
	mkdir "$work/json"
	delayed 50ms
	keep export export "$srv/one"
	keep listen listen "$SERVER4"
	slow_client large
	keep transfers transfers
	keep stats stats
	keep show show
	keep get get
	keep get_one get gso
	keep set set gso on give-up 30
	keep unlisten unlisten "$SERVER4"
	keep unexport unexport "$srv/one"
	keep none transfers
	# Errors are no JSON.
	fails 1 'tftpkctl: *' ctl -j unexport "$srv/one"
	for file in "$work"/json/*; do
		files+=(--slurpfile "${file##*/}" "$file")
	done
	matches '' jq -nr "${files[@]}" --arg path "$srv/one" \
		--arg server "$SERVER4" --arg client "$CLIENT4" -f "$here/config.jq"
	# The keys are those of the manual.
	equal "keys of stats" "$(ctl help stats | awk '/^  [a-z]/ { print $1 }' | sort)" \
		"$(jq -r 'keys[]' "$work/json/stats" | tr _ - | sort)"
	equal "keys of get" "$(ctl help --list | awk '$1 == "setting" { print $2 }' | sort)" \
		"$(jq -r 'keys[]' "$work/json/get" | tr _ - | sort)"
}
it "JSON" json_output

run_tests "$@"
