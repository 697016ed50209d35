#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""Blocks ahead of the ACKs of clients that asked for no window: who gets them, how many,
and what becomes of them where packets are lost or the client minds.
"""

import collections
import time

from lib import (
    SRV, Client, Code, Data, Growth, between, content, ctl, defer, during, equal, exported, family, fence, inside,
    listening, make, netem, note, request, run, same, served, settings, test, trusting,
)
from lib.far import FAR, routed

FILE = make("file", content(300_000))
IPXE = (("blksize", 1432), ("tsize", 0))
GRUB = (("blksize", 1024), ("tsize", 0))
ROUND_TRIP = 0.02
DELAY = "delay 20ms"  # of what the client sends
LAST = len(FILE) // 1432 + 1


class Eager:
    """A client in lock step that takes what comes in order, and acknowledges each block.

    ahead       the most blocks that it got beyond an ACK that the server could know
    """

    def __init__(self, client, *options):
        self.client = client
        client.open("file", *options)
        self.payloads = {}
        self.acked = self.ahead = self.known = 0
        self.acks = collections.deque()  # when which were sent that are on their way
        client.ack(0)

    def take(self, lost=(), keeps=False, silent=False):
        """The next packet. Those lost do not count; beyond a gap it keeps what comes, or
        does not, and says so, or does not.
        """
        packet = self.client.expect(Data)
        while self.acks and self.acks[0][0] + ROUND_TRIP <= self.client.at:
            self.known = self.acks.popleft()[1]
        self.ahead = max(self.ahead, packet.block - self.known - 1)
        if packet.block in lost:
            return packet.block
        before = self.acked
        if keeps or packet.block <= self.acked + 1:
            self.payloads[packet.block] = packet.payload
        while self.acked + 1 in self.payloads:
            self.acked += 1
        if self.acked > before or not silent:
            self.acks.append((time.time(), self.acked))
            self.client.ack(self.acked)
        return packet.block

    def lose(self, block, **how):
        """Take what comes until that block comes, which is lost."""
        while self.take(lost=(block,), **how) != block:
            pass

    def upto(self, block):
        while self.acked < block:
            self.take()
        return self

    def finish(self, **how):
        while self.acked < LAST or len(self.payloads[self.acked]) == 1432:
            self.take(**how)
        return b"".join(self.payloads[block] for block in sorted(self.payloads))


def finishes_in_lock_step(eager):
    eager.ahead = 0
    same(FILE, eager.finish())
    equal("blocks ahead", 0, eager.ahead)


def came_ahead(server, *options):
    """How many blocks beyond the ACK a client sees."""
    with Client(server) as client:
        eager = Eager(client, *options)
        eager.upto(120)
        # More in flight than what was acknowledged by then.
        return eager.ahead


@test("blocks ahead save round trips, and the file is the same")
def _(server):
    took = {}
    for most in (0, 15):
        growth = Growth()
        with settings(send_ahead=most), netem(DELAY), Client(server) as client:
            eager = Eager(client, *IPXE)
            begun = client.at
            same(FILE, eager.finish())
            took[most] = client.at - begun
            equal("blocks ahead", most, eager.ahead)
            growth.expect(transfers_completed=1, blocks_sent=LAST, blocks_retransmitted=0)
    note(f"{took[0]:.2f} s in lock step, {took[15]:.2f} s with blocks ahead")
    between("share", 0.05, took[15] / took[0], 0.25)


@test("the first 8 blocks come in lock step, then twice as many each round trip")
def _(server):
    with netem(DELAY), Client(server) as client:
        eager = Eager(client, *IPXE)
        seen = []
        for upto in (8, 9, 10, 14, 22, 38):
            eager.upto(upto)
            seen.append(eager.ahead)
        assert seen[0] == 0 and seen[1] <= 1 and seen[-1] == 15, seen


@test("who gets blocks ahead: {0}", cases=[
    ("iPXE", IPXE, {}, (), 15),
    ("GRUB", GRUB, {}, (), 15),
    ("nobody", IPXE, {"send_ahead": 0}, (), 0),
    ("4 at most", IPXE, {"send_ahead": 4}, (), 4),
    ("not at this export", IPXE, {}, ("--send-ahead", 0), 0),
    ("at this export", IPXE, {"send_ahead": 0}, ("--send-ahead", 6), 6),
    ("another size", (("blksize", 1024), ("timeout", 5), ("tsize", 0)), {}, (), 0),
    ("all", (("blksize", 1024), ("timeout", 5), ("tsize", 0)), {"send_ahead_to": "all"}, (), 15),
    ("a window of one block", (("blksize", 1024), ("windowsize", 1)), {"send_ahead_to": "all"}, (), 0),
])
def _(server, _what, options, changed, words, most):
    ctl("unexport", SRV)
    defer(ctl, "export", SRV)
    during(exported(SRV, *words))
    if changed:
        during(settings(**changed))
    with netem(DELAY):
        equal("blocks ahead", most, came_ahead(server, *options))


@test("a gap is reported by ACKs: only the block that was lost is sent again")
def _(server):
    growth = Growth()
    with netem(DELAY), Client(server) as client:
        eager = Eager(client, *IPXE).upto(60)
        eager.lose(70, keeps=True)
        same(FILE, eager.finish(keeps=True))
        growth.expect(transfers_completed=1, blocks_retransmitted=1, probes=0, timeouts=0)


@test("a gap is met with silence: all from there on is sent again")
def _(server):
    growth = Growth()
    with netem(DELAY), Client(server) as client:
        eager = Eager(client, *IPXE).upto(60)
        eager.lose(70, silent=True)
        same(FILE, eager.finish(silent=True))
        growth.expect(transfers_completed=1, probes=1, timeouts=0)
    between("blocks sent again", 2, growth["blocks_retransmitted"], 16)


@test("a client that lacks the first block ahead goes on in lock step")
def _(server):
    with netem(DELAY), Client(server) as client:
        eager = Eager(client, *IPXE).upto(8)
        lost = eager.acked + 2
        eager.lose(lost, silent=True)
        eager.upto(lost + 1)
        finishes_in_lock_step(eager)


@test("an ACK of what was never sent: in lock step for good")
def _(server):
    with netem(DELAY), Client(server) as client:
        eager = Eager(client, *IPXE).upto(60)
        client.ack(eager.acked + 1000)
        eager.upto(90)
        finishes_in_lock_step(eager)


@test("a stranger at a single port gets none, who is trusted does")
def _(server):
    stranger = FAR[family(server)]
    with listening(f"{server} --single-port"), netem(DELAY, "far", "to-client"), inside("far"):
        equal("blocks ahead", 0, came_ahead(server, *IPXE))
        with trusting(stranger):
            equal("blocks ahead", 15, came_ahead(server, *IPXE))


# The last ones: the server remembers where that came from.


@test("after an ERROR its source gets none, others do")
def _(server):
    with netem(DELAY), netem(DELAY, "far", "to-client"):
        with inside("far"):
            between("blocks ahead", 1, came_ahead(server, *IPXE), 15)
            with Client(server) as client:
                Eager(client, *IPXE).upto(60)
                client.error(Code.OPERATION, "out of order")
                client.peer = None
            equal("blocks ahead", 0, came_ahead(server, *IPXE))
        equal("blocks ahead", 15, came_ahead(server, *IPXE))


@test("after the same request once more its source gets none")
def _(server):
    with netem(DELAY):
        with Client(server) as client:
            Eager(client, *IPXE).upto(60)
            client.send(request("file", IPXE), client.listener)
            fence()
        equal("blocks ahead", 0, came_ahead(server, *IPXE))


run(served(), routed())
