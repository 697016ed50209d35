#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""Forged packets: what they make the server send to others, and what they do to
clients in whose name they come; what it takes to have a single port.
"""

import itertools
import json
import random
import socket
import struct
import time

from lib import (
    SERVERS, WORK, Client, Code, Data, Error, Growth, Oack, Op, Transfer, ack, between, content,
    defer, during, equal, error, fence, fetch, idle, inside, ip, listening, make, note, request,
    run, same, served, settings, start, test, traffic, trusting, wait_for,
)
from lib.forge import WIDE, Forger, answers, away, crowded, guest, guests, lan, leave, stranger
from lib.host import family

FILE = make("file", content(400 * 512))
make("other", content(50_000, 3))
SHORT = make("short", content(3000, 2))
WINDOW = (("blksize", 1024), ("windowsize", 8))
LARGE = (("blksize", 1400), ("windowsize", 64))

# ---- amplification ----


class Bill:
    """What an attack cost the attacker, and what it made the server send."""

    def __init__(self):
        self.before = traffic("server", "to-router")

    def __getattr__(self, name):
        return traffic("server", "to-router")[name] - self.before[name]


@test(
    "three small packets at most before the first ACK: {0}",
    cases=[
        ("no options", (), 1),
        ("all options", (("blksize", 65464), ("windowsize", 64), ("tsize", 0), ("timeout", 1)), 1),
        ("repeated requests", LARGE, 200),
    ],
    timed=True,
)
def _(server, _, options, times):
    client = guest(server)
    for _ in range(times):
        client.send(request("file", options), client.listener)
    sizes = [len(packet.payload) if isinstance(packet, Data) else 0 for _, packet in client.arrived(7)]
    equal("bytes of DATA", [0 if options else 512] * 3, sizes)


# As many ports as a listener has at most, where the attacker knows them.
PORTS = range(31000, 31256)


def known_ports(ports=PORTS):
    during(settings(give_up=2, port_range=f"{ports[0]}-{ports[-1]}"))


# Nobody is forged twice: what comes for a transfer that has just ended is no guess.
fresh = itertools.count(2000)


def attack(server, requests, guesses, options=(*LARGE, ("utimeout", 10000)), **more):
    """Forged requests, each followed by forged ACKs: guesses(number) gives pairs
    of a port and a block. Returns the bill and the growth of counters, once the
    server sends no more.
    """
    forger = Forger(server)
    packet = request("file", options)
    if more:
        during(settings(**more))
    bill, growth = Bill(), Growth()
    for number in range(requests):
        source = away(server, next(fresh))
        forger.send(source, 2000, 69, packet)
        # The best moment is when the file is open.
        wait_for("the transfer", lambda n=number: growth["transfers_started"] > n)
        for port, block in guesses(number):
            forger.send(source, 2000, port, ack(block))
    idle(60)
    note(
        f"{requests} requests, {bill.rx_bytes} bytes in: {bill.tx_packets} packets,"
        f" {bill.tx_bytes} bytes out, {growth['transfers_aborted']} transfers aborted"
    )
    return bill, growth


def all_ports(_):
    return [(port, 0) for port in random.sample(PORTS, len(PORTS))]


def one_port(number):
    return [(PORTS[number % len(PORTS)], 0)]


def one_port_and_blocks(number):
    """As if the window of 4 that is granted meanwhile had come, many times."""
    return [(PORTS[number % len(PORTS)], block) for block in range(0, 64, 4)]


@test("a port is guessed right: one window is sent, and three more blocks")
def _(server):
    """What the next test is about, and its positive control."""
    known_ports([31000])
    bill, growth = attack(server, 4, lambda _: [(31000, 0)])
    growth.expect(blocks_sent=4 * (64 + 3))
    assert bill.tx_bytes > 10 * bill.rx_bytes


@test(
    "a port of 256 is guessed, {0}: no more than three times the bytes come of it",
    cases=[("all of them by turns", 20, all_ports), ("one of them", 250, one_port)]
    + [("one of them, for many blocks", 100, one_port_and_blocks)],
)
def _(server, _, requests, guesses):
    known_ports()
    bill, growth = attack(server, requests, guesses)
    blocks, right = growth["bytes_sent"], requests - growth["transfers_aborted"]
    # One in 256 would have been right, whatever chance had it.
    fair = blocks / right * requests / 256 if right else blocks
    note(f"{right} were right to the end, {blocks} bytes of blocks")
    assert bill.tx_bytes - blocks + fair <= 3 * bill.rx_bytes


def granted(client, asked=64):
    """The window that it gets."""
    window = int(client.open("file", ("blksize", 1400), ("windowsize", asked))["windowsize"])
    leave(client)
    return window


@test("whoever guesses ports harms no other client: {0}", cases=["on the link", "beyond a router"])
def _(server, where):
    known_ports()
    clients = [stranger(server, 30), guest(server)]
    # Others may have guessed before.
    wait_for("large windows", lambda: granted(clients[0]) == 64)
    guesser = guest(server) if where == "on the link" else stranger(server, 31)
    growth = Growth()
    guesser.open("file", *LARGE)
    for port in PORTS:
        if port != guesser.peer[1]:
            guesser.send(ack(0), to=(guesser.peer[0], port, *guesser.peer[2:]))
    fence()
    growth.expect(packets_unknown=255, transfers_aborted=where != "on the link")
    equal("windows of others", [64, 64], [granted(client) for client in clients])
    leave(guesser)


@test("while ports are guessed in many names, windows are small but for who was there before")
def _(server):
    known_ports()
    before, now = stranger(server, 33), stranger(server, 34)
    same(SHORT, fetch(before, "short", *WINDOW))
    before.peer = None
    attack(server, 20, all_ports)
    equal("window of one that was there before", 64, granted(before))
    equal("window of one that was not", 4, granted(now))
    equal("window on the link", 64, granted(guest(server)))
    # It is bounded, and gets its file.
    same(SHORT, fetch(now, "short", *WINDOW))
    now.peer = None


@test("in whose name ports are guessed, beyond a router, has small windows, unless trusted")
def _(server):
    known_ports()
    client, forger = stranger(server, 32), Forger(server)
    wait_for("large windows", lambda: granted(client) == 64)
    # Or else its host says that nobody is there.
    with inside("attacker"):
        guest(server, source=away(server, 32), source_port=2000)
    forger.send(away(server, 32), 2000, 69, request("file", LARGE))
    fence()
    for port in PORTS:
        forger.send(away(server, 32), 2000, port, ack(0))
    fence()
    equal("window", 4, granted(client))
    equal("window of one who wants less", 3, granted(client, 3))
    with trusting(WIDE[family(server)]):
        equal("window of one that is trusted", 64, granted(client))


@test("a wrong guess ends no transfer of a client on the link, which gets half as much at first")
def _(server):
    known_ports()
    growth, client = Growth(), guest(server)
    client.open("file", *LARGE)
    wrong = PORTS[0] if client.peer[1] != PORTS[0] else PORTS[1]
    for _ in range(2):
        client.send(ack(0), to=(client.peer[0], wrong, *client.peer[2:]))
    fence()
    client.ack(0)
    client.blocks(1, 16)
    client.ack(16)
    client.blocks(17, 80)
    growth.expect(transfers_aborted=0, packets_unknown=2)


# ---- requests in the name of a client ----


@test(
    "a forged request every 50 blocks disturbs nobody, {0}, window {1}, {2}",
    cases=[
        (ports, window, how)
        for ports in ("a port for each", "a single port")
        for window in (1, 8)
        for how in ("others are told", "others are ignored")
    ],
)
def _(server, ports, window, how):
    if ports == "a single port":
        during(listening("* --single-port"))
    growth, forger = Growth(), Forger(server)
    source = lan(server, 200)
    client = guest(server, source=source)
    options = (("blksize", 512), ("windowsize", window))
    client.open("file", *options)
    client.ack(0)
    blocks, others, beside = [], set(), 0
    while not blocks or len(blocks[-1]) == 512:
        packet = client.receive()
        if client.sender != client.peer:
            others.add(client.sender)
            if how == "others are told":
                client.send(error(Code.TID, "not mine"), to=client.sender)
            continue
        equal("block", (Data, len(blocks) + 1), (type(packet), packet.block))
        blocks.append(packet.payload)
        if len(blocks) % 50 == 0:
            # Another file each time, the same as before, and what is refused.
            another = ("short", "other", "nothing")[len(blocks) // 50 % 3]
            for forged in (
                request(another, WINDOW),
                request("file", options),
                request("short", mode="mail"),
                request("short", op=Op.WRQ),
            ):
                forger.send(source, client.port, 69, forged)
            fence()
            beside += 1 + (another != "nothing")
        if len(blocks) % window == 0 or packet.length < 512:
            client.ack(len(blocks))
    same(FILE, b"".join(blocks))
    # What was forged did arrive, and had its effect where it may.
    growth.expect(transfers_completed=1, writes_refused=8)
    if ports == "a single port":
        equal("who else answered", set(), others)
        growth.expect(transfers_started=1, requests_dropped=8)
    else:
        growth.expect(transfers_started=1 + beside, requests_dropped=0)
        assert len(others) > 1
        for other in others:
            client.send(error(Code.TID, "not mine"), to=other)
    client.peer = None


@test("{0} forged in a client's name keep none of its requests from an answer", cases=["writes", "reads"])
def _(server, kind):
    during(settings(source_burst=64, source_rate=32))
    growth, forger, client = Growth(), Forger(server), stranger(server, 60)
    packet = request("other", op=Op.WRQ if kind == "writes" else Op.RRQ)
    for number in range(10):
        for port in range(2000, 2008):
            forger.send(away(server, 60), port, 69, packet)
        client.request("short", WINDOW)
        client.expect(Oack, 0.1)
        leave(client)
        time.sleep(0.1)
    growth.expect(**{"writes_refused" if kind == "writes" else "requests": 80 + 10 * (kind == "reads")})


@test("a forged write does not answer a client that waits for its OACK")
def _(server):
    forger, client = Forger(server), guest(server, source=lan(server, 61))
    growth = Growth()
    client.open("short", *WINDOW)
    for _ in range(3):
        forger.send(lan(server, 61), client.port, 69, request("short", op=Op.WRQ))
    fence()
    growth.expect(writes_refused=3)
    client.expect_silence(0)
    client.ack(0)
    client.blocks(1, 3)
    client.ack(3)


@test("who guessed a port right does not say how often to repeat", timed=True)
def _(server):
    known_ports([31000])
    growth = Growth()

    def two_windows(_):
        yield 31000, 0
        wait_for("the first window", lambda: growth["blocks_sent"] >= 64)
        yield 31000, 64

    attack(server, 1, two_windows, (*LARGE, ("timeout", 1)), give_up=30)
    # The second window, and the same after 0.2 s, 0.6, 1.4, and so on; each second it
    # would be thirty times.
    note(f"{growth['blocks_sent']} blocks")
    between("blocks", 128, growth["blocks_sent"], 128 + 10 * 64)


@test("an ACK that comes late ends no other transfer, however many have ended since")
def _(server):
    client, crowd = stranger(server, 62), guests(20, server)
    same(SHORT, fetch(client, "short", *WINDOW))
    late = client.peer
    for _ in range(100):
        for other in crowd:
            other.open("short", *WINDOW)
        leave(*crowd)
    growth = Growth()
    client.open("short", *WINDOW)
    client.send(ack(3), to=late)
    fence()
    growth.expect(packets_unknown=1, transfers_aborted=0)
    client.ack(0)
    client.blocks(1, 3)
    client.ack(3)


def started(server, source, number=40):
    """How many of so many requests of a source, which come in by the router, begin a
    transfer at once.
    """
    growth, forger = Growth(), Forger(server)
    for port in range(number):
        forger.send(source, 2000 + port, 69, request("file"))
    fence()
    got = growth["transfers_started"]
    idle()
    return got


@test("a source of the link that comes in by the router is not on the link")
def _(server):
    during(settings(source_burst=16, source_rate=1))
    equal("answers", 4, started(server, lan(server, 220)))
    equal("answers", 16, answers(guests(20, server, source=lan(server, 221))))


@test("a default route without a gateway does not put the world on the link")
def _(server):
    during(settings(source_burst=16, source_rate=1))
    width = 128 if ":" in server else 32
    ip("server", f"route add {away(server, 230)}/{width} dev to-router")
    defer(ip, "server", f"route del {away(server, 230)}/{width} dev to-router")
    equal("answers on the link", 16, started(server, away(server, 230)))
    wide = "::/0" if ":" in server else "0.0.0.0/0"
    ip("server", f"route add {wide} dev to-router metric 1")
    defer(ip, "server", f"route del {wide} dev to-router metric 1")
    equal("answers", 4, started(server, away(server, 231)))


# ---- addresses that nobody has ----


@test("packets from addresses that nobody has are malformed")
def _(server):
    nobody = ("::ffff:10.0.0.1", "::") if ":" in server else ("0.0.0.0",)
    # IPv4 lets that one through to a broadcast address only.
    forger = Forger(server if ":" in server else "255.255.255.255")
    growth = Growth()
    with trusting("10.0.0.0/8"):
        for source in nobody:
            for packet in (request("short"), ack(0), error()):
                forger.send(source, 2000, 69, packet)
        growth.expect(packets_malformed=3 * len(nobody), requests=0)
    # Others' requests come in by that way.
    Forger(server).send(away(server, next(fresh)), 2000, 69, request("short"))
    growth.expect(packets_malformed=3 * len(nobody), requests=1)


# ---- a single port ----


def single_port(**more):
    if more:
        during(settings(**more))
    during(listening("* --single-port"))


def bounded(kib, sent, seconds):
    """Did that many bytes go out at that rate? No more, and hardly less, or else
    this shows nothing.
    """
    note(f"{sent} bytes in {seconds:.2f} s: {sent / seconds / 1024:.1f} KiB/s")
    between("bytes", kib * 1024 * seconds * 0.9, sent, kib * 1024 * (seconds + 1 / 16) + 1500)


@test("single port: forged ACKs of whole windows: a block is sent, and no more")
def _(server):
    single_port()
    bill, growth = attack(server, 20, lambda _: [(69, block) for block in range(0, 6400, 64)])
    # The first of them is right, the second of a block that was not sent.
    growth.expect(transfers_aborted=20, blocks_sent=20)
    assert bill.tx_bytes <= 3 * bill.rx_bytes


@test("single port: an ACK of a block that was not sent ends the transfer, of who is untrusted")
def _(server):
    single_port()
    client = stranger(server, 40)

    def acknowledge(block, **wanted):
        growth = Growth()
        client.open("file", ("blksize", 1024))
        client.ack(0)
        client.block(1)
        client.ack(block)
        growth.expect(acks_received=2, **wanted)

    for block in (2, 1000, 32767, 32768, 65535):
        acknowledge(block, transfers_aborted=1)
        with trusting(WIDE[family(server)]):
            acknowledge(block, transfers_aborted=0)
            client.ack(0)  # not new, but once true
            client.ack(1)
            same(FILE[1024:2048], client.block(2))
            leave(client)


class Spy:
    """Sees all DATA that goes beyond the router."""

    def __init__(self, server):
        self.v6 = ":" in server
        with inside("attacker"):
            self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM)
            # Python turns this one round by itself.
            self.socket.bind(("to-server", 0x86DD if self.v6 else 0x0800))
        self.socket.settimeout(0.1)

    def block(self):
        """Where to, and the number of a block; or None."""
        try:
            packet, where = self.socket.recvfrom(1 << 16)
        except TimeoutError:
            return None
        at = 40 if self.v6 else 20
        if where[2] == socket.PACKET_OUTGOING or packet[at + 8 : at + 10] != b"\0\3":
            return None
        to = packet[24:40] if self.v6 else packet[16:20]
        number = struct.unpack_from("!H", packet, at + 10)[0]
        return socket.inet_ntop(socket.AF_INET6 if self.v6 else socket.AF_INET, to), number


def march(server, sources, seconds=4):
    """Forged transfers, each block acknowledged as soon as it is sent, so that all
    is sent that ever is. Returns how many bytes that was, in how many seconds.
    """
    forger, spy = Forger(server), Spy(server)
    addresses = [away(server, next(fresh)) for _ in range(sources)]
    growth, bill = Growth(), Bill()
    begun = time.monotonic()
    for source in addresses:
        forger.send(source, 2000, 69, request("file", LARGE))
    growth.expect(transfers_started=sources)
    for source in addresses:
        forger.send(source, 2000, 69, ack(0))
    while time.monotonic() < begun + seconds:
        if seen := spy.block():
            forger.send(seen[0], 2000, 69, ack(seen[1]))
    sent, took = bill.tx_bytes - 14 * bill.tx_packets, time.monotonic() - begun
    for source in addresses:
        forger.send(source, 2000, 69, error())
    return sent, took


@test("single port: who is held back and falls silent is given up like others", timed=True)
def _(server):
    single_port(untrusted_rate=1, give_up=3)
    growth, client = Growth(), stranger(server, 50)
    client.open("file", ("blksize", 1024), ("utimeout", 10000))
    client.ack(0)
    client.block(1)
    client.ack(1)
    client.block(2)  # a second after the first
    growth.expect(transfers_bounded=1)
    # Its repetition had to wait as well.
    growth.expect(transfers_failed=1, transfers_active=0, blocks_sent=3)
    client.peer = None


@test("single port: an answer that is held back comes, however often it was asked for", timed=True)
def _(server):
    single_port(untrusted_rate=1)
    growth, first, client = Growth(), stranger(server, 60), stranger(server, 60)
    first.open("file", ("blksize", 1024))
    first.ack(0)
    first.block(1)
    leave(first)
    for _ in range(5):
        client.send(request("short"), client.listener)
    growth.expect(requests_repeated=4, transfers_bounded=1, blocks_sent=1)
    same(SHORT[:512], client.block(1))
    client.ack(1)
    same(SHORT[512:1024], client.block(2))
    growth.expect(blocks_sent=3)


@test("single port: no more than untrusted-rate to a source", timed=True)
def _(server):
    single_port(untrusted_rate=16)
    bounded(16, *march(server, 1))


@test("single port: no more than untrusted-total to all of them", timed=True)
def _(server):
    single_port(untrusted_total=32)
    bounded(32, *march(server, 4))


@test("single port: a client beyond a router gets its file, at that rate until it is trusted", timed=True)
def _(server):
    single_port()
    told = WORK / "events"
    with open(told, "wb") as file:
        start("tftpkctl", "-n", "server", "-j", "monitor", netns=None, stdout=file)
    # It listens once it tells of something.
    wait_for("the monitor", lambda: fence(server) or told.stat().st_size)

    growth, near = Growth(), guest(server)
    equal("window on the link", "8", near.open("file", *WINDOW)["windowsize"])
    leave(near)
    growth.expect(transfers_bounded=0, transfers_active=0)

    client = stranger(server, 70)
    begun = time.monotonic()
    transfer = Transfer(client, "file", *WINDOW)
    equal("window", 1, transfer.window)
    same(FILE, transfer.finish())
    bounded(64, len(FILE), time.monotonic() - begun)
    growth.expect(transfers_bounded=1)
    # What little is asked for without a window is not held back.
    same(SHORT, fetch(stranger(server, 71), "short"))
    growth.expect(transfers_bounded=1, transfers_active=0)

    # Trust lifts it, at once for what is under way.
    transfer = Transfer(client, "file", *WINDOW).step(8)
    growth.expect(transfers_bounded=2)
    with trusting(f"{away(server, 70)}/{128 if ':' in server else 32}"):
        begun = time.monotonic()
        transfer.finish()
        between("seconds for the rest, once trusted", 0, time.monotonic() - begun, 0.5)
        equal("window of one that is trusted", "8", client.open("short", *WINDOW)["windowsize"])
        leave(client)
        client.request("goodbye")
        client.expect(Error)
        client.peer = None
    wait_for("the last event", lambda: b"goodbye" in told.read_bytes())
    events = [json.loads(line) for line in told.read_text(encoding="utf-8").splitlines()]
    (event,) = [event for event in events if event["type"] == "bounded"]
    equal("client", away(server, 70), event["client_address"])
    assert "neither on the link nor trusted" in event["reason"], event


run(served(), crowded())
