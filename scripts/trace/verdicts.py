# SPDX-License-Identifier: GPL-2.0
"""What `evidence` and `perf-evidence` share: a load is run, and what was counted while it
ran is judged. A verdict prints figures and returns what is wrong. Sites are Counters by
pairs: a function of the module, and what that called, or None where it was counted itself.
"""

import json
import re
import subprocess
import sys
import time

# Whatever the module calls to get memory of its own
ALLOCATORS = re.compile(r"_*(kmem_cache|kmalloc|kvmalloc|kstrdup|kmemdup|vmalloc|alloc_percpu|pcpu_alloc)")
# What gets nodes for the table of transfers by id, and how many of them a node has
NODE_ALLOCATORS = re.compile(r"_*xa_")
NODE = 64
SKB_ALLOCATORS = re.compile(r"_*(alloc_skb|build_skb|netdev_alloc|napi_alloc|napi_build_skb)")
# Functions that copy payload, and the argument that says how much
COPY = {"skb_store_bits": 4, "skb_copy_bits": 4, "skb_copy_and_csum_bits": 4, "__pskb_pull_tail": 2}
# What uploads may be copied by, as well: text goes through a buffer of the module. A loop of
# its own that copies would be in no function of these: scripts/bench/profile --write shows
# the instructions of each.
COPY_OF_UPLOAD = COPY | {"tftpk_netascii_decode": 3}
# What the module gives to the file system, and what a tmpfs says that it has copied each
# time: the function that copies is in lib/, where there are no probes.
WRITE, INTO_CACHE = ("rw_verify_area", 4), ("shmem_write_end", 5)
# Questions, answers and events of an upload
OWN_OF_UPLOAD = 40
# Less than that are headers.
PAYLOAD_MIN = 128
# The module's work
WORK = "tftpk_request_work"


class options:
    netns = None


def ctl(*words):
    netns = ["-n", options.netns] if options.netns else []
    return json.loads(subprocess.check_output(["tftpkctl", *netns, "-j", *words]))


def run(command, look=lambda: None):
    """Run the load, and look() often meanwhile; returns by how much the counters
    grew.
    """
    before = ctl("stats")
    with subprocess.Popen(command, stdout=sys.stderr) as process:
        while process.poll() is None:
            look()
            time.sleep(0.02)
    if process.returncode:
        sys.exit(f"{command[0]} failed")
    # The last ACK may still be on its way.
    for _ in range(20):
        after = ctl("stats")
        if not after["transfers_active"]:
            break
        time.sleep(0.05)
    # Beside the counters there are histograms.
    return {name: n - before[name] for name, n in after.items() if isinstance(n, int)}


def tell(what, n, per, units):
    print(f"{n:12} {what}, {n / max(per, 1):.4f} for {units}")


def served(grown):
    tell("blocks", grown["blocks_sent"], grown["acks_received"], "an ACK")
    return [] if grown["blocks_sent"] else ["nothing was sent"]


def stored(grown):
    tell("blocks taken", grown["data_received"], grown["uploads_stored"], "an upload")
    return [] if grown["uploads_stored"] else ["nothing was stored"]


def nodes_of(transfers):
    """How many nodes so many new ids in a row begin, and how many nodes above these."""
    nodes = transfers // NODE + 1
    return nodes + nodes // NODE + 1


def few(grown):
    """How often work may run: to open, to fill the ring, to read ahead for the first
    time, to end; and to refill.
    """
    return 4 * grown["requests"] + grown["bytes_sent"] / 65536


def add_up(sites, skbs, blocks):
    """How much the module allocated itself, and how many nodes."""
    own, nodes = 0, 0
    for (site, called), n in sites.most_common():
        tell(f"{site} calls {called or 'the allocator'}", n, blocks, "a block")
        if not called or ALLOCATORS.match(called):
            own += n
        elif NODE_ALLOCATORS.match(called):
            nodes += n
    tell("by the module itself", own + nodes, blocks, "a block")
    tell("skbs", skbs, blocks, "a block")
    return own, nodes


def allocations(sites, skbs, grown):
    faults = served(grown)
    blocks = grown["blocks_sent"]
    own, nodes = add_up(sites, skbs, blocks)
    # The transfer and, for a large window, its ring
    if own > 2 * grown["requests"]:
        faults.append(f"{own} allocations of {grown['requests']} transfers")
    if nodes > nodes_of(grown["requests"]):
        faults.append(f"{nodes} nodes for the ids of {grown['requests']} transfers")
    # A burst has several blocks in one; what an ACK came in takes the first of them.
    if skbs >= blocks * 3 // 4:
        faults.append("as many skbs as blocks")
    if not sites:
        faults.append("not even the transfer's own allocation was seen")
    return faults


def copies(sites, grown):
    faults = served(grown)
    sent = grown["bytes_sent"]
    for (site, called), n in sites.most_common():
        tell(f"bytes: {site} calls {called or 'what copies'}", n, sent, "a byte sent")
    tell("bytes copied, by the module's counter", grown["bytes_copied"], sent, "a byte sent")
    if sum(sites.values()) > sent // 100:
        faults.append("payload was copied")
    if grown["bytes_copied"]:
        faults.append("the module says that it copied")
    return faults


def switches(works, grown):
    tell("times the work ran", works, grown["acks_received"], "an ACK")
    tell("refills", grown["refills"], grown["bytes_sent"] / 65536, "64 KiB")
    faults = served(grown)
    if works < grown["requests"]:
        faults.append("not even opening was seen")
    if works > few(grown) or grown["refills"] > few(grown):
        faults.append(f"more than {few(grown):.0f} times for {grown['requests']} transfers")
    return faults


def softirq(outside, within, grown):
    """How often blocks were built outside of softirq, and within."""
    tell("times blocks were built in softirq", within, grown["acks_received"], "an ACK")
    tell("times elsewhere", outside, grown["acks_received"], "an ACK")
    faults = served(grown)
    if not within:
        faults.append("nothing was built in softirq")
    if outside > few(grown):
        faults.append(f"more than {few(grown):.0f} times elsewhere for {grown['requests']} transfers")
    return faults


def kept(sites, skbs, grown):
    faults = stored(grown)
    blocks = grown["data_received"]
    own, _ = add_up(sites, skbs, blocks)
    if own > OWN_OF_UPLOAD * grown["requests"]:
        faults.append(f"{own} allocations of {grown['requests']} uploads")
    # An ACK is an skb, for a window.
    if skbs > blocks // 8 + OWN_OF_UPLOAD * grown["requests"]:
        faults.append("an skb for every few blocks")
    if not sites:
        faults.append("not even the transfer's own allocation was seen")
    return faults


def written(wrote, copied, sites, grown):
    """Bytes that the module wrote, that were copied into the page cache, and on their way
    there.
    """
    faults = stored(grown)
    tell("bytes written by the module", wrote, grown["data_received"], "a block")
    tell("bytes copied into the page cache", copied, wrote, "a byte written")
    for (site, called), n in sites.most_common():
        tell(f"bytes: {site} calls {called or 'what copies'}", n, wrote, "a byte written")
    copied += sum(sites.values())
    if not wrote:
        faults.append("no write was seen")
    elif abs(copied - wrote) > wrote // 100:
        faults.append(f"{copied / wrote:.1f} copies of each byte")
    return faults
