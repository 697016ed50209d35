#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""Who is let in, how many at one time, and what those get who only pretend:
limits, budgets, amplification, and what it takes to have a single port.
"""

import itertools
import json
import random
import socket
import struct
import time

from lib import (
    SERVERS, WORK, Client, Code, Data, Error, Growth, Oack, Op, Transfer, ack, between, content,
    during, equal, error, fence, fetch, idle, inside, listening, make, note, request, run, same,
    served, settings, start, test, traffic, trusting, wait_for,
)
from lib.forge import WIDE, Forger, away, crowded, lan
from lib.host import family

FILE = make("file", content(400 * 512))
make("other", content(50_000, 3))
SHORT = make("short", content(3000, 2))
WINDOW = (("blksize", 1024), ("windowsize", 8))
LARGE = (("blksize", 1400), ("windowsize", 64))


# ---- clients, until the test is over ----


def guest(server, **more):
    return during(Client(server, **more))


def guests(number, server, **more):
    return [guest(server, **more) for _ in range(number)]


def stranger(server, number):
    """Somebody beyond the router."""
    with inside("attacker"):
        return guest(server, source=away(server, number))


def strangers(server, number):
    """Twenty at one address there."""
    return [stranger(server, number) for _ in range(20)]


def begin(client):
    """A transfer whose first window was acknowledged, as only who got it can."""
    client.open("file", *WINDOW)
    client.ack(0)
    client.blocks(1, 8)
    client.ack(8)
    client.blocks(9, 16)


def goes_on(client):
    """So it does, after any silence: meanwhile it is asked for the second window."""
    again = {packet.block for _, packet in client.arrived()}
    assert again <= {*range(9, 17)}, again
    client.ack(16)
    client.blocks(17, 24)


def held(server, number, **more):
    """So many of these."""
    clients = guests(number, server, **more)
    for client in clients:
        begin(client)
    return clients


def leave(*clients):
    for client in clients:
        client.error()
        client.peer = None


def gets(client):
    same(SHORT, fetch(client, "short", *WINDOW))
    client.peer = None


def refused(client, reply):
    """A request gets silence, or ERROR 0 where that is set."""
    client.request("short", WINDOW)
    if reply:
        client.expect(Error, code=Code.UNDEFINED)
        client.peer = None
    client.expect_silence(0.2)


# ---- how many ----


@test("max-transfers: no more at one time, {0}", cases=["silence", "reply-at-limit"])
def _(server, how):
    reply = how == "reply-at-limit"
    during(settings(max_transfers=10, reply_at_limit=reply))
    growth = Growth()
    clients, client = held(server, 10), guest(server)
    refused(client, reply)
    growth.expect(requests_dropped=1, transfers_started=10)
    # One goes, one comes.
    leave(clients[0])
    growth.expect(transfers_active=9)
    gets(client)
    growth.expect(transfers_active=9, transfers_started=11)
    goes_on(clients[1])


@test("max-per-client: no more of one address, {0}", cases=["silence", "reply-at-limit"])
def _(server, how):
    reply = how == "reply-at-limit"
    during(settings(max_per_client=3, reply_at_limit=reply))
    growth = Growth()
    clients, client = held(server, 3), guest(server)
    refused(client, reply)
    growth.expect(requests_dropped=1)
    gets(guest(server, source=lan(server, 1)))
    # Whichever goes, one may come.
    for gone in (0, 2, 1, 1):
        leave(clients.pop(gone))
        growth.expect(transfers_active=2)
        clients += held(server, 1)
        refused(client, reply)
    growth.expect(requests_dropped=5, transfers_active=3)
    leave(*clients)
    growth.expect(transfers_active=0)
    gets(client)


def windows(server, number, proved=True):
    """Clients, one after the other, and the windows that they are granted."""
    clients = guests(number, server)
    granted = []
    for client in clients:
        granted.append(int(client.open("file", *LARGE)["windowsize"]))
        if proved:
            client.ack(0)
            client.block(1)
            client.ack(1)
    note(f"windows {granted}")
    return clients, granted


@test("max-pinned: beyond the budget one block at a time, and nobody is denied")
def _(server):
    with settings(max_pinned=1):
        clients, granted = windows(server, 16)
        # The budget is 256 pages. Each of the first takes the 50 of its file.
        equal("windows", [64] * 5 + [1] * 11, granted)
        # These as well get whatever they want, block by block.
        for block in range(2, 60):
            same(FILE[(block - 1) * 1400 : block * 1400], clients[-1].block(block))
            clients[-1].ack(block)
        leave(*clients)
        idle()
        # What they held can be had again.
        clients, granted = windows(server, 1)
        equal("window", [64], granted)
        leave(*clients)
    equal("windows without that budget", [64] * 16, windows(server, 16)[1])


@test("max-pinned: who never acknowledged anything gives way")
def _(server):
    during(settings(max_pinned=1))
    growth = Growth()
    windows(server, 16, proved=False)
    # Nobody gives way who may just be on his way.
    equal("window", [1], windows(server, 1)[1])
    equal("transfers evicted", 0, growth["transfers_evicted"])
    time.sleep(1.2)
    equal("windows", [64] * 3, windows(server, 3)[1])
    # These take the 24 of their window only: the room of two is enough for three.
    growth.expect(transfers_evicted=2, requests_dropped=0)


@test("max-unverified: the oldest one that never acknowledged a block gives way")
def _(server):
    during(settings(max_unverified=4))
    growth = Growth()
    (verified,) = held(server, 1)
    clients = guests(6, server)
    for client in clients:
        client.open("file", *WINDOW)
        if client is clients[1]:
            # This proves nothing yet.
            clients[0].ack(0)
            clients[0].blocks(1, 8)
    growth.expect(transfers_evicted=2, transfers_active=5, requests_dropped=0)
    for client in clients[:2]:
        client.ack(0)
        client.expect_silence(0.2)
    for client in clients[2:]:
        client.ack(0)
        client.blocks(1, 8)
    goes_on(verified)
    # Who is gone may ask again.
    gets(clients[0])


# ---- how often ----


def ask(client):
    client.request("short", WINDOW)


def answers(clients, how=ask):
    """How many of them are answered, asking at once."""
    for client in clients:
        how(client)
    time.sleep(0.2)
    answered = [client for client in clients if client.poll() is not None]
    leave(*answered)
    return len(answered)


@test("source-burst: requests of an address at once, then source-rate", timed=True)
def _(server):
    with settings(source_burst=8, source_rate=1):
        growth, begun = Growth(), time.monotonic()
        source = lan(server, 10)
        equal("answers", 8, answers(guests(12, server, source=source)))
        growth.expect(requests_limited=4)
        # Others on the link are not concerned.
        gets(guest(server, source=lan(server, 11)))
        # One a second from then on.
        late = guest(server, source=source)
        ask(late)
        while late.poll(0.01) is None:
            ask(late)
        between("seconds until the next one", 1, time.monotonic() - begun, 1.05)
    with settings(source_burst=8, source_rate=100):
        source = lan(server, 12)
        equal("answers", 8, answers(guests(10, server, source=source)))
        # Meanwhile there is room for as many again, and no more.
        equal("answers", 8, answers(guests(10, server, source=source)))


@test("source-burst: a repeated request counts once")
def _(server):
    during(settings(source_burst=4, source_rate=1))
    one, *others = guests(7, server, source=lan(server, 20))
    for _ in range(10):
        one.send(request("short", WINDOW), one.listener)
    one.expect(Oack)
    equal("answers", 3, answers(others))


@test(
    "source-burst: {0} count like others",
    cases=[
        ("refusals", 30, lambda client, _: client.request("short", mode="mail")),
        ("ACKs of strangers", 31, lambda client, other: client.send(ack(0), to=other.peer)),
        ("writes", 32, lambda client, _: client.request("short", op=Op.WRQ)),
    ],
)
def _(server, _, number, how):
    """Or else the server could be made to send ERRORs to anybody."""
    during(settings(source_burst=4, source_rate=1))
    other = guest(server, source=lan(server, 33))
    begin(other)
    clients = guests(12, server, source=lan(server, number))
    equal("answers", 4, answers(clients, lambda client: how(client, other)))


@test("source-burst 0: no limit")
def _(server):
    during(settings(source_rate=1))
    equal("answers", 100, answers(guests(100, server)))


@test("source-burst: beyond a router a quarter of it, but for those trusted")
def _(server):
    during(settings(source_burst=16, source_rate=1))
    for number in (10, 11):
        equal("answers", 4, answers(strangers(server, number)))
    with trusting(WIDE[family(server)]):
        equal("answers", 16, answers(strangers(server, 12)))


@test("source-burst: beyond a router a source is a network of 64 bits", ["IPv6"])
def _(server):
    during(settings(source_burst=16, source_rate=1))
    where = away(server, 20).removesuffix("1")
    with inside("attacker"):
        clients = [guest(server, source=f"{where}{number + 1:x}") for number in range(20)]
    equal("answers", 4, answers(clients))
    with trusting(f"{where}/64"):
        equal("answers", 20, answers(clients))


@test("on the link every address counts by itself")
def _(server):
    during(settings(source_burst=1, source_rate=1))
    equal("answers", 50, answers([guest(server, source=lan(server, 100 + n)) for n in range(50)]))


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


def attack(server, requests, guesses):
    """Forged requests, each followed by forged ACKs: guesses(number) gives pairs
    of a port and a block. Returns the bill and the growth of counters, once the
    server sends no more.
    """
    forger = Forger(server)
    packet = request("file", (*LARGE, ("utimeout", 10000)))
    bill, growth = Bill(), Growth()
    for number in range(requests):
        source = away(server, next(fresh))
        forger.send(source, 2000, 69, packet)
        # The best moment is when the file is open.
        wait_for("the transfer", lambda n=number: growth["transfers_started"] > n)
        for port, block in guesses(number):
            forger.send(source, 2000, port, ack(block))
    idle()
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


@test("while ports are guessed: small windows for those beyond a router, not trusted", [""])
def _():
    def window(client, asked=64):
        granted = int(client.open("file", ("blksize", 1400), ("windowsize", asked))["windowsize"])
        leave(client)
        return granted

    clients = {server: stranger(server, 30) for server in SERVERS.values()}
    known_ports()
    # Others may have guessed before.
    for client in clients.values():
        wait_for("large windows", lambda c=client: window(c) == 64)
    attack(SERVERS["IPv4"], 1, all_ports)
    for server, client in clients.items():
        equal("window", 4, window(client))
        equal("window of one who wants less", 3, window(client, 3))
        with trusting(WIDE[family(server)]):
            equal("window of one that is trusted", 64, window(client))
        equal("window on the link", 64, window(guest(server)))


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
