#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Ends of all kinds while 50 transfers are under way, TFTPK_ROUNDS (10) times
# each: the module, namespaces, exports, listeners and transfers go, interfaces
# and routes change, clients freeze. Afterwards nothing is left: no transfer, no
# object, no page, no reference to the file system, no memory that nobody points
# to.
# shellcheck disable=SC2317 # tests are called by name
set -euo pipefail
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
wants_debug_kernel
rounds=${TFTPK_ROUNDS:-10}
setup

truncate -s 32M "$work/disk.img"
mkfs.ext4 -q "$work/disk.img"
mkdir "$srv/disk"
mount -o loop "$work/disk.img" "$srv/disk"
chmod 755 "$srv/disk"
"$here/tftpload" --make 3000000 "$work/copy"
install -m 644 "$work/copy" "$srv/disk/file"
umount "$srv/disk"
rmmod tftpk
# So slow that all of them are under way, and the CPUs have time.
tc -n client qdisc add dev to-server root netem delay 500ms

# begin: the module, and the disk.
begin() {
	mount -o loop "$work/disk.img" "$srv/disk"
	defer unmount_again
	serve
	defer unload_again
}
serve() {
	load
	# Silent clients are to be forgotten soon; few ports are opened soon.
	ctl set source-burst 0 give-up 2 port-range 20000-20015
	ctl export "$srv/disk"
} >/dev/null
unload_again() { ! loaded || rmmod tftpk; }
unmount_again() { ! is_mounted "$srv/disk" || umount "$srv/disk"; }

# clients [HOST]: 50 of them, who begin anew whatever happens to them.
clients() {
	nsenter --net=/run/netns/client -- "$here/tftpload" --data "$work/copy" --lossy --patience 3 \
		--clients 50 --transfers 10000000 --deadline 100000 \
		--windowsize 2 --blksize 1024 "${1:-$SERVER4}" file >/dev/null 2>&1 &
	swarm=$!
}

# busy [NETNS]: are so many transfers there?
busy() {
	tftpkctl -n "${1:-server}" stats | awk '$1 == "transfers-active" { exit $2 < 40 }'
}

in_slabinfo() { grep -q '^tftpk_transfer ' /proc/slabinfo; }
idle() { [[ $(counter transfers_active) == 0 ]]; }
none_left() { (($(objects) == 0)); }

# under_fire COMMAND: again and again, while clients fetch; then nothing is left.
under_fire() {
	local i
	begin
	clients
	for ((i = 0; i < rounds; i++)); do
		wait_for busy
		"$1"
	done
	wait_for busy
	kill "$swarm"
	wait_for idle
	drop_caches
	equal "pages held" 0 "$(cached "$srv/disk/file")"
	wait_for none_left
	ctl unexport "$srv/disk"
	umount "$srv/disk"
	rmmod tftpk
	! in_slabinfo || fail "the slab cache is still there"
}

module() {
	rmmod tftpk
	! in_slabinfo || fail "the slab cache is still there"
	serve
}
it "the module is unloaded" under_fire module

export_() {
	ctl unexport "$srv/disk"
	umount "$srv/disk"
	mount -o loop "$work/disk.img" "$srv/disk"
	ctl export "$srv/disk"
}
it "the folder is no longer exported" under_fire export_

listener() {
	ctl listen "$SERVER4"
	wait_for busy
	ctl unlisten "$SERVER4"
	ctl unexport "$srv/disk"
	ctl export "$srv/disk"
}
it "the listeners go" under_fire listener

killed() { ctl kill "$CLIENT4"; }
it "the transfers are killed" under_fire killed

interface() {
	ip -n server link set to-client down
	ctl unexport "$srv/disk"
	ip -n server link set to-client up
	ctl export "$srv/disk"
	wait_for busy
	ip -n server link set to-client down
	ip -n server link set to-client up
}
it "the interface goes down" under_fire interface

route() {
	ip -n server route add prohibit "$CLIENT4"
	ctl kill "$CLIENT4"
	ip -n server route delete prohibit "$CLIENT4"
	ip -n server route add "$CLIENT4" dev to-client mtu 900
	wait_for busy
	ip -n server route delete "$CLIENT4"
}
it "routes come and go" under_fire route

frozen() {
	kill -STOP "$swarm"
	rmmod tftpk
	! in_slabinfo || fail "the slab cache is still there"
	serve
	kill -CONT "$swarm"
}
it "the module is unloaded, its clients are frozen" under_fire frozen

# A server that goes with its namespace, clients and all.
namespace() {
	local i
	mount -o loop "$work/disk.img" "$srv/disk"
	defer unmount_again
	load
	defer unload_again
	for ((i = 0; i < rounds; i++)); do
		ip netns add passing
		ip -n passing link add to-client type veth peer name to-passing netns client
		ip -n passing addr add 198.51.100.1/24 dev to-client
		ip -n client addr add 198.51.100.2/24 dev to-passing
		ip -n passing link set to-client up
		ip -n client link set to-passing up
		tc -n client qdisc add dev to-passing root netem delay 500ms
		tftpkctl -n passing set source-burst 0 port-range 20000-20015
		tftpkctl -n passing export "$srv/disk"
		clients 198.51.100.1
		wait_for busy passing
		ip netns delete passing
		# Namespaces are taken apart when it suits the kernel.
		wait_for try_umount
		kill "$swarm"
		wait_for none_left
		mount -o loop "$work/disk.img" "$srv/disk"
	done
	rmmod tftpk
	umount "$srv/disk"
}
try_umount() { umount "$srv/disk" 2>"$work/umount"; }
it "the namespace is deleted" namespace

# An object counts as leaked once two scans find no pointer to it, the second
# one some seconds after it was allocated.
no_leak() {
	local kmemleak=/sys/kernel/debug/kmemleak
	echo scan >$kmemleak
	sleep 6
	echo scan >$kmemleak
	[[ ! $(<$kmemleak) ]] || { cat $kmemleak; fail "memory leaked"; }
}
it "no memory was lost" no_leak

run_tests "$@"
