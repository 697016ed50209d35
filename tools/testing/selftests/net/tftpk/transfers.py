#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""A transfer from its request to its end: who takes part in it, what ACKs mean,
when packets are sent again, and how it ends. RFC 1350 and 7440.
"""

import contextlib
import json
import socket
import struct
import subprocess
import time

from lib import (
    SRV, Client, Code, Data, Error, Growth, Oack, Transfer, ack, between, content, ctl, data, equal, error,
    fence, fetch, idle, make, netem, note, quiet, request, run, same, served, settings, start,
    subscribed, test, transfers, wait_for,
)
from lib.forge import checksum

FILE = make("file", content(300_000))
OTHER = make("other", content(50_000, 2))
SHORT = make("short", content(1000, 3))
WINDOW = (("blksize", 1024), ("windowsize", 8))


def part(first, last, blksize=1024):
    """The bytes of some blocks of the file."""
    return FILE[(first - 1) * blksize : last * blksize]


# ---- transfer identifiers, RFC 1350 section 4 ----


@test("a transfer has a port of its own, and all comes from there")
def _(server):
    ports = set()
    with contextlib.ExitStack() as stack:
        for _ in range(40):
            client = stack.enter_context(Client(server))
            client.open("file", *WINDOW)
            client.ack(0)
            same(part(1, 8), client.blocks(1, 8))
            equal("address", server, client.peer[0])
            assert client.peer[1] != 69
            ports.add(client.peer[1])
    # Chosen at random of 256: hardly ever fewer than 25 of them.
    assert len(ports) >= 25, f"only {len(ports)} ports among 40 transfers"


@test("a stranger's packet gets ERROR 5 and does not disturb")
def _(server):
    growth = Growth()
    with Client(server) as client, Client(server) as stranger:
        client.open("file", *WINDOW)
        client.ack(0)
        same(part(1, 8), client.blocks(1, 8))
        for block in (0, 8, 3, 100):
            stranger.send(ack(block), to=client.peer)
            stranger.expect(Error, code=Code.TID)
        # Neither ERRORs nor nonsense of a stranger have any effect.
        stranger.send(error(0, "stop"), to=client.peer)
        stranger.send(request("other"), to=client.peer)
        quiet(stranger)
        stranger.send(data(1, b"x"), to=client.peer)
        stranger.expect(Error, code=Code.TID)
        client.ack(8)
        same(part(9, 16), client.blocks(9, 16))
        stranger.peer = None
    growth.expect(packets_strange=5, transfers_started=1)


@test("an ACK after the end is not answered")
def _(server):
    with Client(server) as client, Client(server) as stranger:
        same(OTHER, fetch(client, "other", ("blksize", 1024)))
        growth = Growth()
        for block in (49, 49, 48, 0, 1000):
            client.ack(block)
        quiet(client)
        growth.expect(packets_unknown=5, packets_strange=0)
        # The very same from elsewhere is a stranger's.
        stranger.send(ack(49), to=client.peer)
        stranger.expect(Error, code=Code.TID)
        stranger.peer = None


@test(
    "on the link a packet to another port ends no transfer, which gets half as much at first, {0}",
    cases=["after the request", "after the OACK"],
)
def _(server, when):
    with Client(server) as client, Client(server) as other:
        client.open("file", *WINDOW)
        while True:
            other.open("file", *WINDOW)
            if other.peer[1] != client.peer[1]:
                break
            other.error()
        if when == "after the OACK":
            client.ack(0)
            client.blocks(1, 8)
        growth = Growth()
        client.send(ack(0), to=other.peer)
        growth.expect(packets_unknown=1, transfers_aborted=0)
        if when == "after the request":
            client.ack(0)
            client.blocks(1, 4)
            quiet(client)
            client.ack(4)
            client.blocks(5, 12)
        else:
            quiet(client)
            client.ack(8)
            client.blocks(9, 16)
        # Once it has acknowledged a block no such packet disturbs.
        other.ack(0)
        same(part(1, 8), other.blocks(1, 8))
        other.ack(8)
        same(part(9, 16), other.blocks(9, 16))
        other.send(ack(0), to=client.peer)
        quiet(other)
        other.ack(16)
        same(part(17, 24), other.blocks(17, 24))


@test("a client that acknowledges to the port that it asked is told of")
def _(server):
    words = (("tftpkctl", "-n", "server", "-j", "monitor"))
    monitor = start(*words, stdout=subprocess.PIPE)
    wait_for("the monitor to listen", subscribed)
    with Client(server) as client:
        client.request("file", WINDOW)
        client.expect(Oack)
        client.send(ack(0), client.listener)
        client.peer = None
        # A neighbour may have forged that, so the transfer goes on.
        while (event := json.loads(monitor.stdout.readline()))["type"] != "end":
            pass
    equal("outcome", "timed-out", event["outcome"])
    equal("reason", "the client acknowledges to port 69: listen --single-port", event["reason"])
    equal("ERROR", None, event["error_code"])


# ---- requests from one port ----


@test("a repeated request is one transfer, and at most three answers")
def _(server):
    for options in ((), WINDOW):
        growth = Growth()
        with Client(server) as client:
            packet = request("file", options)
            for _ in range(8):
                client.send(packet, client.listener)
            first = client.receive()
            fence()
            answers = [packet for _, packet in client.arrived()]
            assert len(answers) <= 2, f"{1 + len(answers)} answers"
            equal("answers", [first] * len(answers), answers)
            # The fence is a request as well.
            growth.expect(requests=9, requests_repeated=7, transfers_started=1)
            client.ack(0 if options else 1)
            if options:
                same(part(1, 8), client.blocks(1, 8))
            else:
                same(part(2, 2, 512), client.block(2))
            # Late ones do not begin it anew.
            client.send(packet, client.listener)
            growth.expect(requests=10, requests_repeated=8, transfers_started=1, transfers_active=1)


@test("a request for another file ends an unvalidated one")
def _(server):
    growth = Growth()
    with Client(server) as client:
        client.open("file", *WINDOW)
        before = client.peer
        oack = client.open("other", *WINDOW, ("tsize", 0))
        equal("size", str(len(OTHER)), oack["tsize"])
        assert client.peer != before, "the port is the same"
        growth.expect(transfers_started=2, transfers_aborted=1, transfers_active=1)
        # What is late for the old one is not taken for the new one.
        client.send(ack(8), to=before)
        client.ack(0)
        same(OTHER[:8192], client.blocks(1, 8))


def block_from(client, sender, number):
    """A block that comes from there, whatever else does; its payload."""
    while True:
        packet = client.receive()
        if client.sender == sender and isinstance(packet, Data) and packet.block == number:
            return packet.payload


@test(
    "a request from the port of a running transfer begins one beside it, {0}",
    cases=["another file", "the same after a pause"],
)
def _(server, which):
    growth = Growth()
    with Client(server) as client:
        client.open("file", *WINDOW)
        client.ack(0)
        same(part(1, 8), client.blocks(1, 8))
        client.ack(8)
        same(part(9, 16), client.blocks(9, 16))
        old = client.peer
        if which == "another file":
            wanted = OTHER
            client.send(request("other", WINDOW), client.listener)
        else:
            wanted = FILE
            time.sleep(1.5)
            client.send(request("file", WINDOW), client.listener)
        while client.sender == old:
            packet = client.receive()
        new = client.sender
        assert isinstance(packet, Oack), packet
        growth.expect(transfers_started=2, transfers_active=2, transfers_aborted=0)
        # The old one goes on, as long as the new one is unvalidated.
        client.ack(16)
        block_from(client, old, 24)
        client.send(ack(0), to=new)
        same(wanted[:8192], b"".join(block_from(client, new, n) for n in range(1, 9)))
        client.ack(24)
        block_from(client, old, 32)
        growth.expect(transfers_active=2, transfers_aborted=0)
        # That ends it.
        client.send(ack(8), to=new)
        growth.expect(transfers_active=1, transfers_aborted=1)
        client.ack(32)
        same(wanted[8192:9216], block_from(client, new, 9))
        client.peer = new


@test("a client that begins anew at once is served within two retries, {0}", cases=["file", "other"])
def _(server, name):
    with Client(server) as client:
        Transfer(client, "file", *WINDOW, ("tsize", 0)).step(16)
        wanted = FILE if name == "file" else OTHER
        equal("tsize", str(len(wanted)), client.insist(name, *WINDOW)["tsize"])
        client.ack(0)
        same(wanted[:8192], b"".join(block_from(client, client.peer, n) for n in range(1, 9)))


@test("max-per-client: one that begins anew is not one more")
def _(server):
    with settings(max_per_client=1):
        growth = Growth()
        with Client(server) as client, Client(server) as another:
            client.open("file", *WINDOW)
            client.ack(0)
            client.blocks(1, 8)
            client.ack(8)
            client.blocks(9, 16)
            client.open("other", *WINDOW)
            growth.expect(transfers_started=2, requests_dropped=0)
            # From another port it is.
            another.request("other", WINDOW)
            growth.expect(transfers_started=2, requests_dropped=1)
            another.peer = None


@test("after a transfer its port can be used for the next one")
def _(server):
    with Client(server) as client:
        for _ in range(5):
            client.peer = None
            same(OTHER, fetch(client, "other", *WINDOW))


@test("a hundred transfers of one client at one time")
def _(server):
    with contextlib.ExitStack() as stack:
        # Until it is its turn, each is asked for the end of its window.
        hundred = [
            Transfer(stack.enter_context(Client(server)), "file", *WINDOW, lossy=True)
            for _ in range(100)
        ]
        for _ in range(2):
            for transfer in hundred:
                transfer.step(8)
        for transfer in hundred:
            same(part(1, 16), b"".join(transfer.payloads))


# ---- ACKs ----


@test("an ACK within the window takes it back to there")
def _(server):
    with Client(server) as client:
        client.open("file", *WINDOW)
        client.ack(0)
        same(part(1, 8), client.blocks(1, 8))
        client.ack(3)
        same(part(4, 11), client.blocks(4, 11))
        client.ack(11)
        same(part(12, 19), client.blocks(12, 19))
        client.ack(12)
        same(part(13, 20), client.blocks(13, 20))
        # A copy of an older one changes nothing.
        growth = Growth()
        for _ in range(3):
            client.ack(3)
            client.ack(11)
        growth.expect(acks_ignored=6)
        client.ack(20)
        same(part(21, 28), client.blocks(21, 28))


@test("repeated ACKs never multiply DATA, one block at a time", timed=True)
def _(server):
    growth = Growth()
    with Client(server) as client:
        client.open("file", ("blksize", 1024))
        for block in range(40):
            for _ in range(10):
                client.ack(block)
            client.block(block + 1)
        growth.expect(acks_received=400, acks_ignored=360, blocks_sent=40)


@test("repeated ACKs never multiply DATA, windows of {0}", cases=[2, 8, 64], timed=True)
def _(server, windowsize):
    """One of them may be the report of a loss, by which a window goes out twice."""
    growth = Growth()
    with Client(server) as client:
        client.open("file", ("blksize", 256), ("windowsize", windowsize))
        for first in range(1, 10 * windowsize, windowsize):
            for _ in range(10):
                client.ack(first - 1)
            fence()
            came = {packet.block for _, packet in client.arrived()}
            equal("blocks", {*range(first, first + windowsize)}, came)
        growth.expect(acks_received=100)
        between("DATA packets", 10 * windowsize, growth["blocks_sent"], 20 * windowsize)
        # Any number of reports of one gap is one report.
        growth = Growth()
        for _ in range(20):
            client.ack(first)
        growth.expect(acks_received=20)
        between("DATA packets", windowsize, growth["blocks_sent"], 2 * windowsize)


@test("the network's copies of ACKs make no difference", timed=True)
def _(server):
    with Client(server) as client:
        client.open("file", *WINDOW)
        with netem("delay 20ms duplicate 100%"):
            growth = Growth()
            for first in range(1, 80, 8):
                client.ack(first - 1)
                client.blocks(first, first + 7)
            growth.expect(acks_received=20, acks_ignored=10, blocks_sent=80)


@test("ACKs of what was not sent are ignored")
def _(server):
    with Client(server) as client:
        client.open("file", *WINDOW)
        client.ack(0)
        same(part(1, 8), client.blocks(1, 8))
        growth = Growth()
        beyond = (9, 10, 17, 100, 32767, 32768, 65535)
        for block in beyond:
            client.ack(block)
        growth.expect(acks_ignored=len(beyond), acks_received=len(beyond))
        client.ack(8)
        same(part(9, 16), client.blocks(9, 16))
    idle()
    # Without a window the next block is beyond as well.
    with Client(server) as client:
        client.request("file")
        client.expect(Data, block=1)
        client.ack(2)
        client.ack(1)
        same(part(2, 2, 512), client.block(2))


@test("the end of a file in the middle of a window")
def _(server):
    with Client(server) as client:
        transfer = Transfer(client, "short", ("blksize", 128), ("windowsize", 64))
        same(SHORT, transfer.finish())
        equal("blocks", 8, transfer.blocks)
    # 1024 bytes are eight full blocks and an empty one.
    make("full", content(1024, 4))
    with Client(server) as client:
        transfer = Transfer(client, "full", ("blksize", 128), ("windowsize", 8))
        same(content(1024, 4), transfer.finish())
        equal("blocks", 9, transfer.blocks)


@test("a lost end of the last window is sent again")
def _(server):
    with Client(server) as client:
        client.open("short", ("blksize", 128), ("windowsize", 16))
        client.ack(0)
        client.blocks(1, 8)
        client.ack(5)
        same(SHORT[5 * 128 :], client.blocks(6, 8))
        client.ack(8)
        idle()


# ---- the end ----


@test("any ERROR ends the transfer at once and is not answered")
def _(server):
    for code in (0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 65535):
        growth = Growth()
        with Client(server) as client:
            client.open("file", *WINDOW)
            client.ack(0)
            client.blocks(1, 8)
            client.error(code)
            growth.expect(transfers_active=0, transfers_aborted=1, transfers_failed=0)
            client.ack(8)
            quiet(client)
            client.peer = None


@test("an ERROR's text may be missing or endless")
def _(server):
    for tail in (b"", b"no end", b"x" * 1400, b"\0\0\0"):
        growth = Growth()
        with Client(server) as client:
            client.request("file")
            client.expect(Data)
            client.send(struct.pack("!HH", 5, 0) + tail)
            growth.expect(transfers_active=0, transfers_aborted=1)
            client.peer = None


@test("a client that is gone: ICMP port unreachable ends the transfer at once", timed=True)
def _(server):
    for acked in (False, True):
        growth = Growth()
        client = Client(server)
        client.open("file", *WINDOW)
        if acked:
            client.ack(0)
            client.blocks(1, 8)
        begun = time.monotonic()
        client.close()
        # The OACK or the block that is repeated hits the closed port.
        growth.expect(transfers_active=0, clients_unreachable=1, transfers_failed=0)
        between("seconds to the end", 0, time.monotonic() - begun, 1.2)


@test("a client that is gone after the last block has completed")
def _(server):
    growth = Growth()
    client = Client(server)
    client.request("short", {"blksize": 1024})
    client.expect(Oack)
    client.ack(0)
    client.block(1)
    client.close()
    growth.expect(transfers_active=0, transfers_completed=1, clients_unreachable=0)


def icmp(client, kind, code, quoted):
    """Send the server an ICMP error about a packet that it sent."""
    v6 = client.family == socket.AF_INET6
    protocol = socket.IPPROTO_ICMPV6 if v6 else socket.IPPROTO_ICMP
    body = struct.pack("!BBHI", kind, code, 0, 0) + quoted
    if not v6:
        body = body[:2] + struct.pack("!H", checksum(body)) + body[4:]
    with socket.socket(client.family, socket.SOCK_RAW, protocol) as raw:
        raw.sendto(body, (client.peer[0], 0))


def quote(client, port):
    """The headers of a packet to the client, as ICMP quotes them."""
    here, there = client.socket.getsockname(), client.peer
    udp = struct.pack("!HHHH", there[1], port, 520, 0)
    if client.family == socket.AF_INET6:
        head = struct.pack("!IHBB", 6 << 28, 520, 17, 64)
        return head + socket.inet_pton(10, there[0]) + socket.inet_pton(10, here[0]) + udp
    head = struct.pack("!BBHHHBBH", 0x45, 0, 540, 0, 0x4000, 64, 17, 0)
    return head + socket.inet_aton(there[0]) + socket.inet_aton(here[0]) + udp


@test("no other ICMP message ends a transfer")
def _(server):
    v6 = ":" in server
    unreachable, others = (1, 4), [(1, 0), (1, 1), (1, 3), (3, 0), (4, 1)]
    if not v6:
        unreachable, others = (3, 3), [(3, 0), (3, 1), (3, 2), (3, 10), (3, 13), (11, 0), (12, 0)]
    growth = Growth()
    with Client(server) as client:
        client.open("file", *WINDOW)
        client.socket.connect(client.peer)  # to know the own address
        here = client.socket.getsockname()
        client.ack(0)
        client.blocks(1, 8)
        for kind, code in others:
            icmp(client, kind, code, quote(client, here[1]))
        # Nor does one that quotes another port.
        icmp(client, *unreachable, quote(client, here[1] ^ 1))
        fence(server)
        client.ack(8)
        same(part(9, 16), client.blocks(9, 16))
        growth.expect(transfers_active=1, clients_unreachable=0)
        icmp(client, *unreachable, quote(client, here[1]))
        growth.expect(transfers_active=0, clients_unreachable=1)
        client.peer = None


# ---- waiting ----


def lasts(what, seconds, got):
    """The kernel's timers may be late by an eighth."""
    between(what, seconds, got, seconds * 9 / 8 + 0.05)


@test("no answer to {0}: again after 1 s and 2 s, then no more", cases=["DATA", "OACK"], timed=True)
def _(server, first):
    with Client(server) as client:
        begun = time.time()
        client.request("file", WINDOW if first == "OACK" else ())
        packet = client.receive()
        equal("answer", first, type(packet).__name__.upper())
        came = client.arrived(6.5)
        note(f"came after {', '.join(f'{at - begun:.2f}' for at, _ in came)} s")
        equal("packets", [packet] * 2, [p for _, p in came])
        lasts("first repetition", 1, came[0][0] - begun)
        lasts("second repetition", 3, came[1][0] - begun)


def waits(client, seconds, *options):
    """How long the server waits before it sends a window again to a client
    that falls silent; says what came.
    """
    transfer = Transfer(client, "file", *WINDOW, *options)
    transfer.step(32)
    came = [at for at, p in client.arrived(seconds) if isinstance(p, Data) and p.block == 33]
    found = [after - before for before, after in zip(came, came[1:])]
    note(f"waits of {', '.join(f'{wait:.2f}' for wait in found)} s")
    return found


@test("backoff: each wait is twice the one before, up to 5 s", timed=True)
def _(server):
    with Client(server) as client:
        found = waits(client, 14)
        for wanted, wait in zip((0.2, 0.4, 0.8, 1.6, 3.2, 5), found, strict=True):
            lasts("wait", wanted, wait)
        # Nothing is lost by so long a silence.
        client.ack(40)
        same(part(41, 48), client.blocks(41, 48))


@test("timeout option: no wait is longer", timed=True)
def _(server):
    with Client(server) as client:
        found = waits(client, 6, ("timeout", 1))
        assert len(found) >= 4, "too few repetitions"
        lasts("longest wait", 1, max(found))


@test("timeout option: the first repetition is not delayed", timed=True)
def _(server):
    with Client(server) as client:
        client.open("file", ("timeout", 200))
        begun = client.at
        client.expect(Oack)
        lasts("first repetition", 1, client.at - begun)


@test("utimeout option: no wait is longer", timed=True)
def _(server):
    with Client(server) as client:
        found = waits(client, 3, ("utimeout", 300_000))
        assert len(found) >= 4, "too few repetitions"
        lasts("longest wait", 0.3, max(found))


@test("a silent client: the end of the burst is asked for first", timed=True)
def _(server):
    """Tail-loss probe: the window's last block alone, before all of it."""
    with Client(server) as client:
        Transfer(client, "file", *WINDOW).step(32)
        came = [p.block for _, p in client.arrived(3) if isinstance(p, Data) and p.block > 32]
        note(f"blocks {came[:20]}")
        equal("blocks", [*range(33, 41), 40, *range(33, 41)], came[:17])


@test("no ACK of the first {0}: three times its last block, and more if asked", cases=[1, 8], timed=True)
def _(server, window):
    with Client(server) as client:
        client.open("file", ("blksize", 1024), ("windowsize", window))
        client.ack(0)
        came = [p.block for _, p in client.arrived(4)]
        equal("blocks", [*range(1, window + 1)] + 3 * [window], came)
        # Who has lost all of it asks for it.
        client.ack(0)
        came = [p.block for _, p in client.arrived(4)]
        note(f"blocks {came}")
        equal("those that came", {*range(1, window + 1)}, {*came})
        between("packets", window, len(came), 2 * window + 3)
        client.ack(window)
        client.block(window + 1)


@test("no ACK of the first window: forgotten after 10 s", timed=True)
def _(server):
    with Client(server) as client:
        client.open("file", *WINDOW)
        client.ack(0)
        client.arrived(7)
        client.ack(0)
        assert client.arrived(2), "forgotten too early"
        client.arrived(4)
        client.ack(0)
        client.expect_silence(1)


PAUSES = {
    "ten of 150 ms": [0.15] * 10,
    "thirty of 60 ms": [0.06] * 30,
    "five of a second": [1.0] * 5,
    "three of 3 s": [3.0] * 3,
    "ever longer ones": [0.06 * 1.5**n for n in range(9)],
    "a short one after long ones": [0.3, 0.6, 0.1, 0.06, 1.0],
}


@test("a client in lock step that pauses gets no more than two copies: {0}", cases=PAUSES.items(), timed=True)
def _(server, _, pauses):
    growth = Growth()
    with Client(server) as client:
        Unhurried(client, pauses, every=200 // len(pauses))
    between("copies", 0, growth["blocks_retransmitted"], 2)


class Unhurried:
    """Fetches 200 blocks one by one, and pauses before some ACKs."""

    def __init__(self, client, pauses, every):
        client.request("file")
        pauses = list(pauses)
        for block in range(1, 201):
            # Whatever came while it paused: copies are not answered.
            while client.expect(Data).block != block & 0xFFFF:
                pass
            if block % every == every // 2 and pauses:
                time.sleep(pauses.pop(0))
            client.ack(block)
        equal("pauses left", [], pauses)
        client.error()
        client.peer = None


@test("a client in lock step that is steady: a lost block is found soon", timed=True)
def _(server):
    with Client(server) as client:
        client.request("file")
        for block in range(1, 400):
            client.block(block)
            if block % 40 == 0:
                # As if that block were lost: what comes next is a copy.
                lost = client.at
                client.block(block)
                between("seconds", 0.04, client.at - lost, 0.1)
            client.ack(block)


@test("min-timeout: nothing is sent again sooner", timed=True)
def _(server):
    for setting, words, soonest in ((1500, (), 1.5), (0, ("--min-timeout", 2500), 2.5), (3000, ("--min-timeout", 0), 0.02)):
        ctl("unexport", SRV)
        ctl("export", SRV, *words)
        try:
            for options, window in (((), 1), (WINDOW, 8)):
                with settings(min_timeout=setting), Client(server) as client:
                    transfer = Transfer(client, "file", *options).step(32)
                    begun = client.at
                    came = [at - begun for at, packet in client.arrived(4) if packet.block == transfer.blocks + window]
                    note(f"after {', '.join(f'{at:.2f}' for at in came)} s")
                    between("first copy", soonest, came[1], max(soonest * 9 / 8 + 0.05, 0.1))
        finally:
            ctl("unexport", SRV)
            ctl("export", SRV)


@test("progress ends the backoff", timed=True)
def _(server):
    with Client(server) as client:
        found = waits(client, 4)
        lasts("last wait", 1.6, found[-1])
        for first in (41, 49, 57, 65):
            client.ack(first - 1)
            client.blocks(first, first + 7)
        begun = client.at
        came = [at for at, p in client.arrived(2) if isinstance(p, Data) and p.block == 65]
        between("wait", 0.02, came[0] - begun, 0.3)


@test("an unvalidated transfer is forgotten after 5 s", timed=True)
def _(server):
    with Client(server) as client:
        client.open("file", *WINDOW)
        client.arrived(8)
        # Its port does not know the client any more.
        client.ack(0)
        client.expect_silence(1)
        equal("transfers", [], transfers())


@test("give-up: a silent client has failed, or completed after the last block", timed=True)
def _(server):
    with settings(give_up=2):
        growth = Growth()
        with Client(server) as middle, Client(server) as end:
            Transfer(middle, "file", *WINDOW).step(16)
            end.open("short", ("blksize", 1024))
            end.ack(0)
            end.block(1)
            begun = time.monotonic()
            growth.expect(transfers_failed=1, transfers_completed=1, transfers_active=0)
            between("seconds until then", 2, time.monotonic() - begun, 3.3)
            middle.peer = end.peer = None


run(served())
