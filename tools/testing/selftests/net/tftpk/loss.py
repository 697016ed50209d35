#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""Bad networks. Without --full the cases are chosen so that every pair of
conditions occurs. The ways are those of lanes.py.
"""

import itertools
import os
import sys

from lab import Growth, command, counters, inside, make, note, run, test
from lanes import lane, laid, lanes
from testbed import equal

LANES = 5

LOSS = (0, 0.1, 1, 5)  # percent
DELAY = (0, 1, 20, 100)  # ms, there and back
DISORDER = ("in order", "reordered", "copied", "reordered and copied")
WINDOW = (1, 4, 16, 64)
PACKET = (("IPv4", 512), ("IPv6", 512), ("IPv4", 1428), ("IPv6", 1428))
# Blocks of a file: at most 100 windows, and time enough for something to happen.
BLOCKS = {1: 80, 4: 240, 16: 640, 64: 1600}

NETEM = {
    "in order": "",
    "reordered": "reorder 2%",
    "copied": "duplicate 2%",
    "reordered and copied": "reorder 2% duplicate 2%",
}


def times(a, b):
    """Multiplication in the field of four elements."""
    product = (a if b & 1 else 0) ^ (a << 1 if b & 2 else 0)
    return product ^ 7 if product & 4 else product


def pairwise():
    """Sixteen rows of five numbers below 4: in any two columns each pair of
    numbers occurs (an orthogonal array of the field's lines).
    """
    for a, b in itertools.product(range(4), repeat=2):
        yield (a, b, a ^ b, times(2, a) ^ b, times(3, a) ^ b)


def in_full():
    """Loss, delay, disorder and window in full; what packets, by turns."""
    for a, b, c, d in itertools.product(range(4), repeat=4):
        yield (a, b, c, d, a ^ b ^ c ^ d)


def cases(full):
    for a, b, c, d, e in in_full() if full else pairwise():
        yield LOSS[a], DELAY[b], DISORDER[c], WINDOW[d], *PACKET[e]


def all_packets(every):
    return sum(each.packets() for each in every)


def conditions(loss, delay, disorder):
    """Words for netem. Reordering wants some delay to jump over."""
    half = max(delay / 2, 0.5) if "reordered" in disorder else delay / 2
    words = [f"delay {half}ms"] if half else []
    if loss:
        words.append(f"loss {loss}%")
    words.append(NETEM[disorder])
    return " ".join(words)


FULL = "--full" in sys.argv
if FULL:
    sys.argv.remove("--full")


@test(
    "{0}% lost, {1} ms, {2}, windows of {3}, {4}, blocks of {5}",
    [""],
    list(cases(FULL)),
    together=True,
)
def _(loss, delay, disorder, window, family, blksize):
    name = f"{BLOCKS[window]} blocks of {blksize}"
    with lane() as mine:
        mine.network(conditions(loss, delay, disorder))
        result = mine.fetch(family, name, blksize, window)
        mine.network("")
    equal("blocks", BLOCKS[window], result["blocks"])
    note(
        f"{result['seconds']:.2f} s, {result['again']:.0f} came again,"
        f" {result['ahead']:.0f} behind a gap, {result['timeouts']:.0f} timeouts of the client"
    )


@test("the server's packets were single blocks all the time", [""])
def _():
    every = [lanes.get() for _ in range(LANES)]
    packets = all_packets(every)
    sent = counters.read()["blocks_sent"]
    for each in every:
        lanes.put(each)
    note(f"{sent} blocks, {packets} packets")
    assert packets >= sent > 0
    # And would not have been otherwise.
    mine = every[0]
    with inside("server"):
        command("ethtool", "-K", mine.device, "tx-udp-segmentation", "on")
    before, growth = mine.packets(), Growth()
    mine.fetch("IPv4", "1600 blocks of 512", 512, 64)
    assert mine.packets() - before < growth["blocks_sent"], "segmentation makes no difference here"


if __name__ == "__main__":
    for window, (_, blksize) in itertools.product(WINDOW, PACKET):
        make(f"{BLOCKS[window]} blocks of {blksize}", os.urandom(BLOCKS[window] * blksize - 1))
    with laid(LANES):
        run()
