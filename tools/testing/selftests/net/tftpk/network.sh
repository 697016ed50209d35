#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Addresses, interfaces, VRFs, NAT, ports and MTUs.
set -euo pipefail
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
setup
for module in vrf nf_conntrack_tftp nf_nat_tftp nft_chain_nat nft_masq nft_ct; do
	modprobe "$module"
done
ctl export "$srv" >"$work/log"
run_python network.py "$@"
