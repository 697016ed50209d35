#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Clients of all kinds for TFTPK_SOAK seconds (60), on a network that loses
# packets, while the server is reconfigured: what they get is right, and at the
# end there are as many objects and pages as there were at the beginning. Told
# every ten minutes. On one kernel, or where TFTPK_SOAK asks for it.
# shellcheck disable=SC2317 # tests are called by name
set -euo pipefail
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
if [[ ! ${TFTPK_SOAK-} && ${TFTPK_KERNEL-} == 6.1 ]]; then
	printf 'KTAP version 1\n1..0 # SKIP one kernel is enough\n'
	exit 4
fi
seconds=${TFTPK_SOAK:-60}
setup

mkdir -m 755 "$srv/sub" "$work/other"
"$here/tftpload" --make 200000 "$srv/file"
"$here/tftpload" --make 3000 "$srv/sub/small"
chmod 644 "$srv/file" "$srv/sub/small"
cp "$srv/sub/small" "$work/other/"
chmod 755 "$work"

# forever COMMAND...: until the end; how often it succeeded and failed is
# counted in files.
forever() {
	local name=$1 done=0 failed=0
	shift
	while [[ ! -e $work/stop ]]; do
		if "$@" >"$work/said.$name" 2>&1; then
			done=$((done + 1))
		else
			failed=$((failed + 1))
			cp "$work/said.$name" "$work/failed.$name"
		fi
	done
	echo "$done $failed" >"$work/count.$name"
}

load_of() {
	in_client "$here/tftpload" --data "$srv/file" --lossy --patience 2 \
		--deadline 300 "$@" file
}
right() { "fetch_$1" "$SERVER4" sub/small "$work/got.$1" "${@:2}" && cmp "$srv/sub/small" "$work/got.$1"; }
by_text() { in_client curl -gsSf -o /dev/null "tftp://$SERVER4/sub/small;mode=netascii"; }
# Asks for the size and leaves; nobody answers the last ACK.
refused() { ! fetch_curl "$SERVER4" none "$work/none" 2>/dev/null; }

# What administrators do all day; none of it ends a transfer of the others.
reconfigure() {
	ctl export "$work/other" --as other
	ctl listen "$SERVER4:6969"
	in_client curl -gsSf -o "$work/got.other" "tftp://$SERVER4:6969/other/small"
	cmp "$srv/sub/small" "$work/got.other"
	ctl trust 198.51.100.0/24
	ctl set gso off
	ctl set gso on zerocopy off
	ctl set zerocopy on max-windowsize 32
	ctl set max-windowsize 64 max-pinned 64
	ctl set max-pinned 512
	ctl untrust 198.51.100.0/24
	ctl -j transfers
	ctl unlisten "$SERVER4:6969"
	ctl unexport "$work/other"
}

kinds=()
start() {
	kinds+=("$1")
	forever "$@" &
}

run_all() {
	rm -f "$work/stop"
	kinds=()
	start windows load_of --clients 3 --transfers 6 --blksize 1400 --windowsize 16 "$SERVER4"
	start lockstep load_of --clients 2 --blksize 1024 "$SERVER6"
	start plain load_of --transfers 2 "$SERVER4"
	start curl right curl
	# Without options: one lost ACK of an OACK, and it gives up.
	start atftp right atftp
	start netascii by_text
	start refused refused
	start reconfigure reconfigure
	sleep "$1"
	touch "$work/stop"
	wait
}

# Pages that are neither free nor of processes or files.
pages() {
	awk '$1 == "MemTotal:" { sum += $2 }
		/^(MemFree|Cached|Buffers|AnonPages|PageTables|KernelStack):/ { sum -= $2 }
		END { print sum / 4 }' /proc/meminfo
}
none_left() { (($(objects) == 0)); }

# Objects that are free, but kept back, go first: of all caches, since KASAN
# keeps back many.
settled() {
	local cache
	wait_for idle
	wait_for none_left
	drop_caches
	equal "pages of the file" 0 "$(cached "$work/disk/file")"
	for cache in /sys/kernel/slab/*/shrink; do
		echo 1 >"$cache"
	done
	pages
}

soak() {
	local kind before after times failed left now said
	# A disk: the pages of a tmpfs stay.
	mkdir "$work/disk"
	truncate -s 32M "$work/disk.img"
	mkfs.ext4 -q "$work/disk.img"
	mount -o loop "$work/disk.img" "$work/disk"
	defer umount "$work/disk"
	chmod 755 "$work/disk"
	cp -a "$srv/file" "$srv/sub" "$work/disk/"
	ctl export "$work/disk"
	defer ctl unexport "$work/disk"
	ctl listen "$SERVER4"
	ctl listen "$SERVER6"
	tc -n client qdisc add dev to-server root netem loss 1% delay 500us
	tc -n server qdisc add dev to-client root netem loss 1% delay 500us

	# What is made once is made now.
	run_all 10
	before=$(settled)
	tell "$before pages at the beginning"
	for ((left = seconds; left > 0; left -= now)); do
		now=$((left < 600 ? left : 600))
		said=
		mark
		run_all "$now"
		for kind in "${kinds[@]}"; do
			read -r times failed <"$work/count.$kind"
			said+=" $kind $times,"
			((times && !failed)) || fail "$kind: $times times, failed $failed times: $(cat "$work/failed.$kind")"
		done
		after=$(settled)
		tell "$now s:$said $(growth transfers_completed blocks_sent blocks_retransmitted)" \
			"transfers, blocks sent, repeated; $after pages"
	done
	((after < before + 1024)) || fail "pages were lost: $((after - before))"
}
it "clients of all kinds for $seconds s" soak

run_tests "$@"
