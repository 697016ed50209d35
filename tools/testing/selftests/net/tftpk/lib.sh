# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# Shared by the selftests of tftpk; sourced, never run.
#
#	namespace "server"                        namespace "client"
#	192.0.2.1/24    [to-client] --veth-- [to-server]    192.0.2.2/24
#	2001:db8::1/64                                      2001:db8::2/64
#
# The mount namespace is that of the script: clients are run by nsenter, and
# the server is configured by `tftpkctl -n`, since `ip netns exec` makes a copy
# of all mounts, which then keeps file systems busy.
#
# A test script sources this, says `setup`, prepares what all of its tests
# want, names each test by `it`, and ends with `run_tests "$@"`. Its arguments
# are patterns: only tests whose names match one of them run.
set -euo pipefail

export SERVER4=192.0.2.1 CLIENT4=192.0.2.2
export SERVER6=2001:db8::1 CLIENT6=2001:db8::2

# Whatever is waited for gets that many seconds: a VM without KVM is slow, and
# the host may be busy. The debug kernel takes its time.
debug_kernel() { [[ -w /sys/kernel/debug/failslab/probability ]]; }
patience=${TFTPK_PATIENCE:-$(if debug_kernel; then echo 120; else echo 30; fi)}
export TFTPK_PATIENCE=$patience

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
work=$(mktemp -d "${TMPDIR:-/tmp}/tftpk.XXXXXX")
export WORK=$work

# ---- KTAP ----

test_names=()
test_bodies=()

# it NAME COMMAND [ARGUMENT...]: a test. The command runs in a subshell of its
# own under `set -e`; it fails with the first command that fails, a client
# that is not installed included.
it() {
	test_names+=("$1")
	test_bodies+=("$(printf '%q ' "${@:2}")")
}

# note TEXT: shown even when the test passes.
note() { echo "# $*"; }
# tell TEXT: that at once, not when the test is over.
tell() { note "$@" >&"$told"; }

# fail TEXT: end the test.
fail() {
	echo "$*"
	exit 1
}

# defer COMMAND [ARGUMENT...]: run it when the test is over, passed or failed,
# the last one first. Its failure is the test's.
deferred=()
defer() { deferred=("$(printf '%q ' "$@")" "${deferred[@]}"); }

say_where() {
	local status=$1 frame
	echo "status $status of: $2"
	for ((frame = 1; frame < ${#FUNCNAME[@]} - 1; frame++)); do
		echo "  at ${BASH_SOURCE[frame]##*/}:${BASH_LINENO[frame - 1]} (${FUNCNAME[frame]})"
	done
}

clean_up_test() {
	local status=$? command job
	trap - ERR
	set +e
	for job in $(jobs -p); do
		# A stopped client would not notice.
		kill "$job" 2>/dev/null
		kill -CONT "$job" 2>/dev/null
	done
	for command in "${deferred[@]}"; do
		eval "$command" || { echo "cleaning up failed: $command"; status=1; }
	done
	wait
	exit "$status"
}

# run_body COMMAND: not to be called where the shell ignores failures, that is
# as a condition.
run_body() (
	set -eE
	trap 'say_where $? "$BASH_COMMAND"' ERR
	trap clean_up_test EXIT
	eval "$1"
)

selected() {
	local name=$1 pattern
	shift
	(($#)) || return 0
	for pattern; do
		# shellcheck disable=SC2053 # it is a pattern
		[[ $name != *$pattern* ]] || return 0
	done
	return 1
}

# seconds SINCE: what has passed since $EPOCHREALTIME was SINCE.
seconds() {
	local us=$((${EPOCHREALTIME/./} - ${1/./}))
	printf '%d.%02d s' $((us / 1000000)) $((us % 1000000 / 10000))
}

# run_tests [PATTERN...]: run what was named, print KTAP, fail if any did.
run_tests() {
	local i number=0 failed=0 status begun total=$EPOCHREALTIME
	local -a chosen=()

	for i in "${!test_names[@]}"; do
		if selected "${test_names[i]}" "$@"; then
			chosen+=("$i")
		fi
	done
	set +e
	exec {told}>&1
	# Is a failure seen at all? Not if somebody called this as a condition.
	run_body 'false; true' >/dev/null
	status=$?
	if ((!status)); then
		echo "Bail out! failures go unnoticed"
		exit 1
	fi
	echo "1..${#chosen[@]}"
	for i in "${chosen[@]}"; do
		begun=$EPOCHREALTIME
		run_body "${test_bodies[i]}" >"$work/log" 2>&1 </dev/null
		status=$?
		number=$((number + 1))
		if ((status)); then
			failed=1
			sed 's/^\(# \)\{0,1\}/# /' "$work/log"
		else
			grep '^# ' "$work/log"
		fi
		echo "# $(seconds "$begun")"
		((status)) && echo -n 'not '
		echo "ok $number ${test_names[i]}"
	done
	set -e
	echo "# all of it: $(seconds "$total")"
	return "$failed"
}

# run_python PROGRAM [ARGUMENT...]: tests in Python, which print KTAP, in the
# client's namespace. See testbed.py.
run_python() {
	in_client /usr/bin/python3 -B "$here/$1" "${@:2}"
}

# ---- the topology and the module ----

# wants_debug_kernel: skip all of it on others.
wants_debug_kernel() {
	! debug_kernel || return 0
	echo "KTAP version 1"
	echo "1..0 # SKIP wants the debug kernel"
	exit 4
}

in_client() { nsenter --net=/run/netns/client -- "$@"; }
in_server() { nsenter --net=/run/netns/server -- "$@"; }
ctl() { tftpkctl -n server "$@"; }

# exported FOLDER [OPTION...]: for the length of the test.
exported() {
	ctl export "$@"
	defer ctl unexport "$1"
}

# delayed DELAY: what clients send takes that long.
delayed() {
	tc -n client qdisc add dev to-server root netem delay "$1"
	defer tc -n client qdisc delete dev to-server root
}

# slow_client FILE [HOST]: a client that takes long for a large file, in the
# background until the test is over. Wants ACKs to be delayed.
slow_client() {
	local host=${2:-$SERVER4} started
	started=$(counter transfers_started)
	[[ $host != *:* ]] || host=[$host]
	nsenter --net=/run/netns/client -- curl -gsSf -o /dev/null "tftp://$host/$1" &
	wait_for going "$1" $((started + 1))
}

# going FILE N: the Nth transfer that started is the newest, and got going. Those
# before it may be over, or about to be.
going() {
	[[ $(counter transfers_started) == "$2" &&
		$(ctl transfers | tail -n 1) == */"$1 "*" sending "* ]]
}

# sending FILE N: N transfers are there, and one of the file got going.
sending() {
	local line lines=-1 going=
	while read -r line; do
		lines=$((lines + 1))
		[[ $line != */"$1 "*" sending "* ]] || going=1
	done < <(ctl transfers)
	[[ $lines == "$2" && $going ]]
}

load() {
	if [[ ${TFTPK_KO-} ]]; then
		insmod "$TFTPK_KO"
	else
		modprobe tftpk
	fi
}
loaded() { [[ -d /sys/module/tftpk ]]; }

# endpoint NETNS DEVICE ADDRESS4 ADDRESS6
endpoint() {
	ip -n "$1" -batch - <<-END
		addr add $3/24 dev $2
		addr add $4/64 dev $2 nodad
		link set lo up
		link set $2 up
	END
}

topology() {
	ip -batch - <<-END
		netns add server
		netns add client
		link add to-client netns server type veth peer name to-server netns client
	END
	endpoint server to-client "$SERVER4" "$SERVER6"
	endpoint client to-server "$CLIENT4" "$CLIENT6"
}

# Undo everything, in the order in which things hold on to each other.
teardown() {
	local status=$? target
	trap - EXIT ERR
	set +e
	((status == 0)) || [[ ! -s $work/setup ]] || sed 's/^/# /' "$work/setup"
	if loaded && ! rmmod tftpk; then
		echo "# cannot unload the module"
		status=1
	fi
	for target in server client; do
		[[ ! -e /run/netns/$target ]] || ip netns delete "$target"
	done
	while read -r target; do
		if ! umount "$target"; then
			echo "# cannot unmount $target"
			status=1
		fi
	done < <(tac /proc/mounts | awk -v below="$work/" 'index($2, below) == 1 { print $2 }')
	rm -rf --one-file-system "$work"
	exit "$status"
}

# setup: the namespaces, the module, and $srv, exported by nobody yet.
setup() {
	trap teardown EXIT
	echo "KTAP version 1"
	exec 3>&1 4>&2 >"$work/setup" 2>&1
	topology
	loaded || load
	# Tests ask more often than any client.
	ctl set source-burst 0
	srv=$work/srv
	export SRV=$srv
	mkdir -m 755 "$srv"
	exec >&3 2>&4 3>&- 4>&-
	rm "$work/setup"
}

# ---- waiting ----

# nap: a moment, without a process.
nap() {
	read -rt 0.05 <> <(:) || true
}

# wait_for COMMAND [ARGUMENT...]: until it succeeds.
wait_for() {
	local end=$((SECONDS + patience))
	until "$@"; do
		((SECONDS < end)) || fail "waited $patience s in vain for: $*"
		nap
	done
}

# ---- what is seen from outside ----

# counters INTO: of the server, as `tftpkctl -j stats` has them, into an
# associative array. Without jq, which takes longer than a transfer.
counters() {
	local -n into=$1
	local line
	into=()
	while read -r line; do
		if [[ $line =~ \"([a-z_]+)\":\ ([0-9]+) ]]; then
			into["${BASH_REMATCH[1]}"]=${BASH_REMATCH[2]}
		fi
	done < <(ctl -j stats)
	((${#into[@]})) || fail "tftpkctl tells no counters"
}

# counter NAME
counter() {
	local -A now
	counters now
	echo "${now[$1]}"
}

# is_mounted FOLDER
is_mounted() {
	local target
	while read -r _ target _; do
		[[ $target != "$1" ]] || return 0
	done </proc/mounts
	return 1
}

# mark: remember the counters.
declare -A marked
mark() { counters marked; }

# growth NAME...: by how much these grew since `mark`, in one line.
growth() {
	local -A now
	local -a by=()
	local name
	counters now
	for name; do
		by+=($((now[$name] - marked[$name])))
	done
	echo "${by[*]}"
}

# grew WANTED NAME...: is that by what the counters grew?
grew() {
	local wanted=$1 by
	shift
	by=$(growth "$@")
	[[ $by == "$wanted" ]] || { echo "growth of $*: $by instead of $wanted"; return 1; }
}

# equal WHAT WANTED GOT
equal() {
	[[ $2 == "$3" ]] || fail "$1: wanted '$2', got '$3'"
}

# fails STATUS PATTERN COMMAND [ARGUMENT...]: a program has to fail with that
# status, in one line that matches the pattern, and print nothing else.
fails() {
	local wanted=$1 pattern=$2 status=0
	shift 2
	"$@" >"$work/out" 2>"$work/err" || status=$?
	equal "status of $*" "$wanted" "$status"
	equal "output of $*" '' "$(<"$work/out")"
	# shellcheck disable=SC2053 # it is a pattern
	[[ $(<"$work/err") == $pattern && $(wc -l <"$work/err") == 1 ]] ||
		fail "message of $*: wanted '$pattern', got '$(<"$work/err")'"
}

# matches PATTERN COMMAND...: its output has to match.
matches() {
	local said
	said=$("${@:2}")
	# shellcheck disable=SC2053 # it is a pattern
	[[ $said == $1 ]] || fail "${*:2}: wanted '$1', got '$said'"
}

# ---- clients: fetch_X HOST REMOTE LOCAL [OPTION...] ----

# Options as for curl.
fetch_curl() {
	local host=$1 remote=$2 local=$3
	shift 3
	[[ $host != *:* ]] || host=[$host]
	in_client curl -gsSf --path-as-is \
		-o "$local" "$@" "tftp://$host/$remote"
}

# Options of the protocol: NAME VALUE, in pairs.
fetch_atftp() {
	local host=$1 remote=$2 local=$3
	local -a options=()
	shift 3
	while (($#)); do
		options+=(--option "$1 $2")
		shift 2
	done
	in_client atftp "${options[@]}" \
		-g -r "$remote" -l "$local" "$host"
}

# tftp-hpa: no options; its status tells nothing, its output does.
fetch_tftp() {
	local said
	said=$(in_client tftp -m binary "$1" -c get "$2" "$3" 2>&1)
	[[ ! $said ]] || fail "tftp: $said"
	[[ -e $3 ]]
}

# Options as for busybox.
fetch_busybox() {
	local host=$1 remote=$2 local=$3
	shift 3
	in_client busybox tftp -g -r "$remote" -l "$local" "$@" "$host"
}

# ---- files ----

# make_file FILE BYTES: of random content.
make_file() { head -c "$2" /dev/urandom >"$1"; }

# seal FOLDER: remember what the files in it hold, for `same`.
seal() { (cd "$1" && find . -type f -exec sha256sum {} + >"$work/sums.${1//\//_}"); }

# same FOLDER COPY: fail unless COPY holds all that FOLDER held when it was
# sealed.
same() {
	(cd "$2" && sha256sum --check --strict --quiet "$work/sums.${1//\//_}") ||
		fail "checksums differ"
}

drop_caches() {
	sync
	echo 3 >/proc/sys/vm/drop_caches
}

# idle: has the last transfer gone?
idle() { [[ $(counter transfers_active) == 0 ]]; }

# objects: how many are left in the module's slab caches. Those that are kept
# back, free, for a while go first.
objects() {
	local cache
	for cache in /sys/kernel/slab/tftpk_*; do
		echo 1 >"$cache/shrink"
	done
	awk '/^tftpk_/ { sum += $2 } END { print sum + 0 }' /proc/slabinfo
}

# cached FILE: how many of its pages are in the page cache.
cached() { fincore --noheadings --raw --output PAGES "$1"; }
