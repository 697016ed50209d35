#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The payload is not copied on its way to the driver: what is changed in a file
# after its blocks were sent, and before they leave a queue, arrives changed.
# With copying switched on it arrives as it was. See zerocopy.py.
set -euo pipefail
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
setup

# Neighbours are known, so that nothing but TFTP waits in a queue.
# know NAMESPACE DEVICE OTHER-NAMESPACE OTHER-DEVICE ADDRESS...
know() {
	local address link
	link=$(ip -n "$3" -o link show dev "$4")
	[[ $link =~ link/ether\ ([0-9a-f:]+) ]]
	for address in "${@:5}"; do
		ip -n "$1" neigh replace "$address" dev "$2" lladdr "${BASH_REMATCH[1]}" nud permanent
	done
}
know server to-client client to-server "$CLIENT4" "$CLIENT6"
know client to-server server to-client "$SERVER4" "$SERVER6"

truncate -s 32M "$work/ext4.img"
mkfs.ext4 -q "$work/ext4.img"
mkdir -m 755 "$srv/tmpfs" "$srv/ext4"
mount -t tmpfs -o mode=755 tmpfs "$srv/tmpfs"
mount -o loop "$work/ext4.img" "$srv/ext4"

ctl export "$srv" >/dev/null
run_python zerocopy.py "$@"
