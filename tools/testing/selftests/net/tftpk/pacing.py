#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""How fast what is below an export is sent, and as what it is marked: --max-rate, --dscp."""

import socket
import struct

from lib import (
    SRV, Client, Growth, between, content, ctl, defer, during, equal, exported, fetch, headers, make, note, refuses,
    run, same, served, test, tftpload,
)

BIG = make("big", content(1_500_000))
SMALL = make("small", content(3000))
BLKSIZE = 1428
RATE = 1000  # KiB/s


def export(*words):
    """The folder with these options, for the rest of the test."""
    ctl("unexport", SRV)
    defer(ctl, "export", SRV)
    during(exported(SRV, *words))


@test("--max-rate: {0} clients at once, windows of {1}", cases=[(1, 1), (1, 16), (10, 1), (10, 16)])
def _(server, clients, window):
    blocks = clients * (len(BIG) // BLKSIZE + 1)
    size = clients * len(BIG) + blocks * headers(server)
    rate = RATE * clients
    took = {}
    options = ("--blksize", BLKSIZE, *(("--windowsize", window) if window > 1 else ()))
    for words in (), ("--max-rate", rate):
        export(*words)
        growth = Growth()
        # A client would time out if it waited for its turn for long.
        figures = tftpload(server, "big", "--data", SRV / "big", "--clients", clients, "--patience", 5, *options)
        equal("transfers that failed", 0, figures["failed"])
        equal("timeouts of clients", 0, figures["timeouts"])
        growth.expect(transfers_completed=clients, blocks_sent=blocks, blocks_retransmitted=0)
        took[words] = figures["done"]
    got = size / 1024 / took["--max-rate", rate]
    note(f"{got:.0f} KiB/s of {rate}; {size / 1024 / took[()]:.0f} without")
    # Without it is faster; what the bucket holds comes at once.
    assert took[()] < took["--max-rate", rate] / 2, took
    between("share of the rate", 0.95, got / rate, 1.06)


class Marked(Client):
    """A client that sees how packets are marked."""

    def __init__(self, server):
        super().__init__(server)
        self.marks = set()
        if self.family == socket.AF_INET6:
            self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVTCLASS, 1)
        else:
            self.socket.setsockopt(socket.IPPROTO_IP, socket.IP_RECVTOS, 1)

    def told(self, level, kind, value):
        if (level, kind) == (socket.IPPROTO_IP, socket.IP_TOS):
            self.marks.add(value[0])
        elif (level, kind) == (socket.IPPROTO_IPV6, socket.IPV6_TCLASS):
            self.marks.add(struct.unpack("=i", value)[0])


MARKS = [("af41", 34), ("cs1", 8), ("ef", 46), ("le", 1), (63, 63), (0, 0)]


@test("--dscp {0} marks all packets of a transfer", cases=MARKS)
def _(server, word, point):
    export("--dscp", word)
    with Marked(server) as client:
        same(SMALL, fetch(client, "small", ("blksize", 1024), ("windowsize", 4)))
        equal("marks", {point << 2}, client.marks)


@test("what is no rate or mark is refused: {0} {1!r}", families=(), cases=[
    ("--dscp", "64"), ("--dscp", "af45"), ("--dscp", "af4"), ("--dscp", "cs8"), ("--dscp", ""), ("--dscp", "-1"),
    ("--max-rate", "0"), ("--max-rate", "4294967296"), ("--max-rate", "1m"),
])
def _(option, word):
    refuses("*must be*", "export", SRV, option, word, status=2)


@test("both are shown, saved and restored", families=())
def _():
    export("--dscp", "af41", "--max-rate", 5000)
    saved = ctl("save")
    assert "--dscp 34" in saved and "--max-rate 5000" in saved, saved
    ctl("sync", "-", stdin=saved)
    equal("saved again", saved, ctl("save"))


run(served())
