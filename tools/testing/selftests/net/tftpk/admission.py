#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""Who is let in, how many at one time, and what those get who only pretend:
limits, budgets, amplification, a flood of forged requests and a boot storm.

	server [to-client] ---- [to-server] client        many clients, one LAN
	server [to-router] ---- [to-server] attacker      everybody else
"""

import contextlib
import json
import os
import random
import select
import signal
import socket
import struct
import subprocess
import time

from lab import (
    Growth,
    between,
    content,
    family,
    idle,
    inside,
    ip,
    listening,
    make,
    namespaces,
    note,
    run,
    same,
    settings,
    sysctl,
    test,
    traffic,
)
from testbed import PATIENCE, SERVERS, ctl, equal, wait_for
from tftp_packet import Code, Data, Error, Oack, Op, ack, error, parse, request
from wire import Client, fetch

FILE = make("file", content(300_000))
SHORT = make("short", content(3000, 2))
LARGE = make("large", content(2_000_000, 3))
BLOCKS = make("blocks", content(400 * 512, 4))
WINDOW = (("blksize", 1024), ("windowsize", 8))

# Addresses that the client has all of, and that are on the server's link.
LAN = {"IPv4": "10.77.{}.{}", "IPv6": "2001:db8:77::{:x}:{:x}"}
# Beyond the router, where nobody ever answers.
AWAY = {"IPv4": "100.64.{}.{}", "IPv6": "2001:db8:{:x}:{:x}::1"}
ROUTER = {"IPv4": ("203.0.113.1", "203.0.113.2"), "IPv6": ("2001:db8:2::1", "2001:db8:2::2")}


def links():
    ip("server", "link add to-router type veth peer name to-server netns attacker")
    for name, nodad, width in (("IPv4", "", 24), ("IPv6", "nodad", 64)):
        here, there = ROUTER[name]
        ip("server", f"addr add {here}/{width} dev to-router {nodad}")
        ip("attacker", f"addr add {there}/{width} dev to-server {nodad}")
    ip("server", "link set to-router up")
    ip("attacker", "link set to-server up")
    for name in ("IPv4", "IPv6"):
        ip("server", f"route add default via {ROUTER[name][1]}")
        ip("attacker", f"route add {SERVERS[name]} via {ROUTER[name][0]}")
    ip("client", "route add local 10.77.0.0/16 dev lo", "route add local 2001:db8:77::/64 dev lo")
    ip("server", "route add 10.77.0.0/16 dev to-client", "route add 2001:db8:77::/64 dev to-client")
    # To neighbour solicitations only addresses of an interface would answer.
    at = mac("client", "to-server").hex(":")
    ip(
        "server",
        *(
            f"neigh add {LAN['IPv6'].format(n // 250, n % 250 + 1)} lladdr {at} dev to-client"
            for n in range(1300)
        ),
    )
    for version in ("ipv4", "ipv6"):
        sysctl("client", f"{version}/ip_nonlocal_bind", 1)
        sysctl("attacker", f"{version}/ip_nonlocal_bind", 1)


def lan(server, number):
    return LAN[family(server)].format(number // 250, number % 250 + 1)


def away(server, number):
    return AWAY[family(server)].format(number // 250, number % 250 + 1)


def begin(client, name="file", *options):
    """A transfer whose first window was acknowledged, as only who got it can."""
    client.open(name, *(options or WINDOW))
    client.ack(0)
    client.blocks(1, 8)
    client.ack(8)
    client.block(9)


@contextlib.contextmanager
def held(server, number, name="file", options=WINDOW, **more):
    """So many transfers that wait for the ACK of their second window."""
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(Client(server, **more)) for _ in range(number)]
        for client in clients:
            begin(client, name, *options)
        yield clients


def served(client, name="short", wanted=SHORT):
    same(wanted, fetch(client, name, *WINDOW))


def refused(client, reply):
    """A request gets silence, or ERROR 0 where that is set."""
    client.request("short", WINDOW)
    if reply:
        client.expect(Error, code=Code.UNDEFINED)
        client.peer = None
    else:
        client.expect_silence(0.2)


# ---- how many ----


@test("max-transfers: no more at one time, {0}", cases=["silence", "reply-at-limit"])
def _(server, how):
    reply = how == "reply-at-limit"
    with settings(source_burst=0, max_transfers=10, reply_at_limit=reply):
        growth = Growth()
        with held(server, 10) as clients, Client(server) as client:
            refused(client, reply)
            growth.expect(requests_dropped=1, transfers_started=10)
            # One goes, one comes.
            clients[0].error()
            clients[0].peer = None
            growth.expect(transfers_active=9)
            served(client)
            growth.expect(transfers_active=9, transfers_started=11)
            clients[1].ack(16)
            clients[1].skip_to(17)


@test("max-per-client: no more of one address, {0}", cases=["silence", "reply-at-limit"])
def _(server, how):
    reply = how == "reply-at-limit"
    with settings(source_burst=0, max_per_client=3, reply_at_limit=reply):
        growth = Growth()
        with held(server, 3), Client(server) as client:
            refused(client, reply)
            growth.expect(requests_dropped=1)
            with Client(server, source=lan(server, 1)) as other:
                served(other)
        growth.expect(transfers_active=0)
        with Client(server) as client:
            served(client)


def windows(stack, server, number, proved=True):
    """Windows that so many clients are granted, one after the other."""
    options = (("blksize", 1400), ("windowsize", 64))
    granted = []
    for client in crowd(stack, server, number):
        granted.append((client, int(client.open("large", *options)["windowsize"])))
        if proved:
            client.ack(0)
            client.block(1)
            client.ack(1)
    note(f"windows {[window for _, window in granted]}")
    return granted


@test("max-pinned: beyond the budget one block at a time, and nobody is denied")
def _(server):
    with settings(source_burst=0, max_pinned=1):
        with contextlib.ExitStack() as stack:
            granted = windows(stack, server, 16)
            equal("first window", 64, granted[0][1])
            equal("windows", {1, 64}, {window for _, window in granted})
            equal("last windows", [1] * 4, [window for _, window in granted[-4:]])
            # These as well get whatever they want, block by block.
            last = granted[-1][0]
            for block in range(2, 60):
                same(LARGE[(block - 1) * 1400 : block * 1400], last.block(block))
                last.ack(block)
        idle()
        # What they held can be had again.
        with contextlib.ExitStack() as stack:
            equal("window", 64, windows(stack, server, 1)[0][1])
    with contextlib.ExitStack() as stack:
        granted = windows(stack, server, 16)
        equal("windows without that budget", {64}, {window for _, window in granted})


@test("max-pinned: who never acknowledged anything gives way")
def _(server):
    with settings(source_burst=0, max_pinned=1), contextlib.ExitStack() as stack:
        growth = Growth()
        windows(stack, server, 16, proved=False)
        # Nobody gives way who may just be on his way.
        equal("window", 1, windows(stack, server, 1)[0][1])
        equal("transfers evicted", 0, growth["transfers_evicted"])
        time.sleep(1.2)
        proved = windows(stack, server, 3)
        equal("windows", {64}, {window for _, window in proved})
        assert growth["transfers_evicted"] > 0
        equal("requests dropped", 0, growth["requests_dropped"])


@test("max-unverified: the oldest one that never acknowledged a block gives way")
def _(server):
    with settings(source_burst=0, max_unverified=4):
        growth = Growth()
        with contextlib.ExitStack() as stack:
            verified = stack.enter_context(Client(server))
            begin(verified)
            clients = [stack.enter_context(Client(server)) for _ in range(6)]
            for number, client in enumerate(clients):
                client.open("file", *WINDOW)
                if number == 1:
                    # This proves nothing yet.
                    clients[0].ack(0)
                    clients[0].blocks(1, 8)
            growth.expect(transfers_evicted=2, transfers_active=5, requests_dropped=0)
            # The first two are gone, but may ask again.
            for client in clients[:2]:
                client.discard()
                client.ack(0)
                client.expect_silence(0.2)
                client.peer = None
            for client in clients[2:]:
                client.ack(0)
                client.block(1)
            verified.discard()
            verified.ack(16)
            verified.skip_to(17)
            served(clients[0])


# ---- how often ----


def answered(wanted, clients, rate=1, name="short"):
    """So many of the clients, asking at once, get an answer; more only for the
    time that it takes.
    """
    begun = time.monotonic()
    poll = select.poll()
    by_fd = {client.socket.fileno(): client for client in clients}
    for fd, client in by_fd.items():
        client.request(name, WINDOW)
        poll.register(fd, select.POLLIN)
    took = time.monotonic() - begun
    got = 0
    while ready := poll.poll(500):
        for fd, _ in ready:
            by_fd[fd].poll()
            by_fd[fd].error()
            by_fd[fd].peer = None
            poll.unregister(fd)
            got += 1
    between(f"answers to {len(clients)} requests", wanted, got, wanted + int(rate * took + 1))


def crowd(stack, server, number, **more):
    return [stack.enter_context(Client(server, **more)) for _ in range(number)]


@test("source-burst: requests of an address at once, then source-rate")
def _(server):
    with settings(source_burst=8, source_rate=1), contextlib.ExitStack() as stack:
        growth = Growth()
        source = lan(server, 10)
        answered(8, crowd(stack, server, 12, source=source))
        between("requests limited", 1, growth["requests_limited"], 4)
        # Others on the link are not concerned.
        served(stack.enter_context(Client(server, source=lan(server, 300))))
        # One a second from then on.
        begun = time.monotonic()
        late = stack.enter_context(Client(server, source=source))
        late.request("short", WINDOW)
        while late.poll(0.1) is None:
            late.request("short", WINDOW)
        between("seconds until the next one", 0, time.monotonic() - begun, 5)
    with settings(source_burst=8, source_rate=100), contextlib.ExitStack() as stack:
        source = lan(server, 301)
        answered(8, crowd(stack, server, 8, source=source))
        time.sleep(0.2)  # there is room for as many again
        answered(8, crowd(stack, server, 8, source=source))


@test("source-burst: a repeated request counts once")
def _(server):
    with settings(source_burst=4, source_rate=1), contextlib.ExitStack() as stack:
        source = lan(server, 310)
        one = stack.enter_context(Client(server, source=source))
        for _ in range(10):
            one.send(request("short", WINDOW), one.listener)
        one.expect(Oack)
        answered(3, crowd(stack, server, 6, source=source))


@test("source-burst: {0} count like others", cases=["refusals", "ACKs of strangers", "writes"])
def _(server, what):
    """Or else the server could be made to send ERRORs to anybody."""
    with settings(source_burst=4, source_rate=1), contextlib.ExitStack() as stack:
        with Client(server, source=lan(server, 320)) as client:
            begin(client)
            begun, got = time.monotonic(), 0
            for stranger in crowd(stack, server, 12, source=lan(server, 321 + len(what))):
                if what == "refusals":
                    stranger.request("short", mode="mail")
                elif what == "writes":
                    stranger.request("short", op=Op.WRQ)
                else:
                    stranger.send(ack(0), to=client.peer)
                got += stranger.poll(0.1) is not None
                stranger.peer = None
            took = time.monotonic() - begun
            between("ERRORs", 4, got, 4 + int(took + 1))


@test("source-burst 0: no limit")
def _(server):
    with settings(source_burst=0, source_rate=1), contextlib.ExitStack() as stack:
        answered(100, crowd(stack, server, 100))


@contextlib.contextmanager
def beyond(server, *numbers):
    """Sources beyond the router, which the attacker has meanwhile."""
    addresses = [away(server, number) for number in numbers]
    width = 128 if ":" in server else 32
    ip("attacker", *(f"addr add {a}/{width} dev lo" for a in addresses))
    try:
        with inside("attacker"):
            yield addresses
    finally:
        ip("attacker", *(f"addr del {a}/{width} dev lo" for a in addresses))


@contextlib.contextmanager
def trusting(network):
    ctl("trust", network)
    try:
        yield
    finally:
        ctl("untrust", network)


@test("source-burst: beyond a router a quarter of it, but for those trusted")
def _(server):
    wide = "2001:db8::/32" if ":" in server else "100.64.0.0/10"
    with settings(source_burst=16, source_rate=1), contextlib.ExitStack() as stack:
        with beyond(server, 1, 300, 600) as sources:
            for source in sources[:2]:
                answered(4, crowd(stack, server, 20, source=source))
            with trusting(wide):
                answered(16, crowd(stack, server, 20, source=sources[2]))


@test("source-burst: beyond a router a source is a network of 64 bits", ["IPv6"])
def _(server):
    with settings(source_burst=16, source_rate=1), contextlib.ExitStack() as stack:
        ip("attacker", "route add local 2001:db8:abcd::/48 dev lo")
        with inside("attacker"):
            where = "2001:db8:abcd:1::{:x}"
            clients = [stack.enter_context(Client(server, source=where.format(n))) for n in range(20)]
        answered(4, clients)
        with trusting("2001:db8:abcd::/48"):
            answered(20, clients)


@test("on the link every address counts by itself")
def _(server):
    with settings(source_burst=1, source_rate=1), contextlib.ExitStack() as stack:
        clients = [stack.enter_context(Client(server, source=lan(server, 400 + n))) for n in range(50)]
        answered(50, clients)


# ---- amplification ----


def mac(netns, device):
    with inside(netns), socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as raw:
        raw.bind((device, 0))
        return raw.getsockname()[4]


def checksum(data):
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


class Forger:
    """Sends what seems to come from anybody, and never sees an answer."""

    def __init__(self, server):
        self.v6 = ":" in server
        with inside("attacker"):
            self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
            self.socket.bind(("to-server", 0))
        self.ethernet = mac("server", "to-router") + mac("attacker", "to-server")
        self.ethernet += b"\x86\xdd" if self.v6 else b"\x08\x00"
        self.to = socket.inet_pton(socket.AF_INET6 if self.v6 else socket.AF_INET, server)

    def packet(self, source, port, to, payload):
        length = 8 + len(payload)
        udp = struct.pack("!HHHH", port, to, length, 0) + payload
        if self.v6:
            addresses = socket.inet_pton(socket.AF_INET6, source) + self.to
            sum_ = checksum(addresses + struct.pack("!IHH", length, 0, 17) + udp)
            head = struct.pack("!IHBB", 6 << 28, length, 17, 64) + addresses
            udp = udp[:6] + struct.pack("!H", sum_ or 0xFFFF) + payload
        else:
            addresses = socket.inet_aton(source) + self.to
            head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + length, 0, 0, 64, 17, 0) + addresses
            head = head[:10] + struct.pack("!H", checksum(head)) + head[12:]
        return self.ethernet + head + udp

    def send(self, *packet):
        self.socket.send(self.packet(*packet))


def neighbours(server):
    """Let the server know its router, so that nothing waits for that."""
    with inside("attacker"), Client(server) as client:
        client.request("nothing")
        client.expect(Error)
        client.peer = None


class Bill:
    """What an attack cost the attacker, and what it made the server send."""

    def __init__(self):
        self.before = traffic("server", "to-router")

    def __getattr__(self, name):
        return traffic("server", "to-router")[name] - self.before[name]


@test("three small packets at most before the first ACK: {0}", cases=["no options", "all options"], together=True)
def _(server, how):
    options = (("blksize", 65464), ("windowsize", 64), ("tsize", 0), ("timeout", 1))
    with Client(server, source=lan(server, 500 + len(how))) as client:
        client.request("large", options if how == "all options" else ())
        sizes = [len(packet.payload) if isinstance(packet, Data) else 0 for _, packet in client.during(7)]
        between("packets", 1, len(sizes), 3)
        between("largest block", 0, max(sizes), 512)
        client.peer = None


@test("three small packets at most before the first ACK: repeated requests", together=True)
def _(server):
    with Client(server, source=lan(server, 510)) as client:
        packet = request("large", (("blksize", 1400), ("windowsize", 64)))
        begun = time.monotonic()
        for _ in range(200):
            client.send(packet, client.listener)
        # Who acknowledges nothing is given up after 5 s, and begins anew.
        transfers = 1 + (time.monotonic() - begun) // 5
        between("packets", 1, len(client.during(7)), 3 * transfers)
        client.peer = None


# As many ports as a listener has at most, where the attacker knows them.
PORTS = range(31000, 31256)


@contextlib.contextmanager
def known_ports(ports=PORTS):
    with settings(source_burst=0, give_up=2, port_range=f"{ports[0]}-{ports[-1]}"):
        yield


def attack(server, requests, guesses, first=1000):
    """Forged requests, each followed by forged ACKs: guesses(number) gives pairs
    of a port and a block. Returns the bill, once the server sends no more.
    """
    forger = Forger(server)
    packet = request("large", (("blksize", 1400), ("windowsize", 64), ("utimeout", 10000)))
    neighbours(server)
    bill, growth = Bill(), Growth()
    for number in range(requests):
        source = away(server, first + number)
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
    return bill


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
    with known_ports([31000]):
        growth = Growth()
        bill = attack(server, 4, lambda _: [(31000, 0)])
    between("blocks for each request", 64, growth["blocks_sent"] / 4, 64 + 3)
    assert bill.tx_bytes > 10 * bill.rx_bytes


@test(
    "a port of 256 is guessed, {0}: no more than three times the bytes come of it",
    cases=[("all of them by turns", 50, all_ports), ("one of them", 250, one_port)]
    + [("one of them, for many blocks", 100, one_port_and_blocks)],
)
def _(server, _, requests, guesses):
    with known_ports():
        bill = attack(server, requests, guesses)
    assert bill.tx_bytes <= 3 * bill.rx_bytes


@test("while ports are guessed: small windows for those beyond a router, not trusted", [""])
def _():
    options = (("blksize", 1400), ("windowsize", 64))

    def window(server, **more):
        with Client(server, **more) as client:
            return int(client.open("large", *options)["windowsize"])

    servers = SERVERS.values()
    with contextlib.ExitStack() as stack:
        away_from = {s: stack.enter_context(beyond(s, 4000))[0] for s in servers}
        with known_ports():
            # Others may have guessed before.
            for server, source in away_from.items():
                wait_for("large windows", lambda s=server, a=source: window(s, source=a) == 64)
            attack(SERVERS["IPv4"], 1, all_ports, 5000)
            for server, source in away_from.items():
                equal("window", 4, window(server, source=source))
                with Client(server, source=source) as client:
                    oack = client.open("large", ("windowsize", 3))
                    equal("window of one who wants less", "3", oack["windowsize"])
                with trusting("2001:db8::/32" if ":" in server else "100.64.0.0/10"):
                    equal("window of one that is trusted", 64, window(server, source=source))
    with settings(source_burst=0):
        for server in servers:
            equal("window on the link", 64, window(server))


# ---- requests in the name of a client ----


def besieged(client, name, window, every, forge, foreign):
    """Fetch a file while, whenever so many more blocks have come, somebody forges
    something. What comes from elsewhere than the transfer is given to foreign().
    """
    client.open(name, ("blksize", 512), ("windowsize", window))
    client.ack(0)
    blocks = []
    while not blocks or len(blocks[-1]) == 512:
        packet = client.receive()
        if client.sender != client.peer:
            foreign(client.sender)
            continue
        assert isinstance(packet, Data), f"{packet} after {len(blocks)} blocks"
        if packet.block != len(blocks) + 1:
            continue
        blocks.append(packet.payload)
        if len(blocks) % every == 0:
            forge(len(blocks))
        if len(blocks) % window == 0 or packet.length < 512:
            client.ack(len(blocks))
    return b"".join(blocks)


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
    growth = Growth()
    forger = Forger(server)
    others = set()

    def forge(blocks):
        """Another file each time, the same as before, and what is refused."""
        sent = growth["requests"] + growth["writes_refused"]
        packets = [
            request(("short", "file", "nothing")[blocks // 50 % 3], WINDOW),
            request("blocks", {"blksize": 512, "windowsize": window}),
            request("short", mode="mail"),
            request("short", op=Op.WRQ),
        ]
        for packet in packets:
            forger.send(source, client.port, 69, packet)
        wait_for("the packets", lambda: growth["requests"] + growth["writes_refused"] >= sent + 3)

    def foreign(sender):
        others.add(sender)
        if how == "others are told":
            client.send(error(Code.TID, "not mine"), to=sender)

    with contextlib.ExitStack() as stack:
        if ports == "a single port":
            stack.enter_context(listening("* --single-port"))
        source = lan(server, 900)
        client = stack.enter_context(Client(server, source=source))
        same(BLOCKS, besieged(client, "blocks", window, 50, forge, foreign))
        # What was forged did arrive, and had its effect where it may.
        growth.expect(transfers_completed=1)
        assert growth["writes_refused"] == 8, growth["writes_refused"]
        if ports == "a single port":
            equal("who else answered", set(), others)
            equal("transfers", 1, growth["transfers_started"])
            assert growth["requests_dropped"] >= 8
        else:
            assert len(others) > 1 and growth["transfers_started"] > 1
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
        for number, source in enumerate(nobody, 1):
            for packet in (request("short"), ack(0), error()):
                forger.send(source, 2000, 69, packet)
            growth.expect(packets_malformed=3 * number, requests=0)
    # Others' requests come in by that way.
    Forger(server).send(away(server, 950), 2000, 69, request("short"))
    wait_for("a packet that is not", lambda: growth["requests"] == 1)
    growth.expect(packets_malformed=3 * len(nobody))
    idle()


# ---- a single port ----


@contextlib.contextmanager
def single_port(**more):
    with settings(source_burst=0, **more), listening("* --single-port"):
        yield


@contextlib.contextmanager
def events():
    """What happens meanwhile: a function that gives all that was told until now."""
    with subprocess.Popen(
        ["tftpkctl", "-n", "server", "-j", "monitor"], stdout=subprocess.PIPE, text=True
    ) as monitor:
        os.set_blocking(monitor.stdout.fileno(), False)
        told = []

        def until(kind, name):
            """Up to an event of that kind about that name."""

            def there():
                while line := monitor.stdout.readline():
                    told.append(json.loads(line))
                return any(e["type"] == kind and e["name"] == name for e in told)

            wait_for(f"{kind} of {name}", there)
            return told

        try:
            # It listens once it tells of something.
            def heard():
                with Client(SERVERS["IPv4"]) as client:
                    client.request("hello")
                    client.expect(Error)
                    client.peer = None
                while line := monitor.stdout.readline():
                    told.append(json.loads(line))
                return told

            wait_for("the monitor", heard)
            yield until
        finally:
            monitor.kill()


def bounded(kib, sent, seconds):
    """Did that many bytes go out at that rate? No more, and hardly less, or else
    this shows nothing.
    """
    between("bytes", kib * 1024 * seconds / 2, sent, kib * 1024 * (seconds + 1 / 16) + 1500)


@test("single port: forged ACKs of whole windows: a block is sent, and no more")
def _(server):
    with single_port():
        growth = Growth()
        bill = attack(server, 20, lambda _: [(69, block) for block in range(0, 6400, 64)], 6000)
        # The first of them is right, the second of a block that was not sent.
        growth.expect(transfers_aborted=20)
        between("blocks", 20, growth["blocks_sent"], 20 + growth["probes"])
    assert bill.tx_bytes <= 3 * bill.rx_bytes


@test("single port: an ACK of a block that was not sent ends the transfer, of who is untrusted")
def _(server):
    with single_port(), contextlib.ExitStack() as stack:
        (source,) = stack.enter_context(beyond(server, 6100))
        for trusted in (False, True):
            for block in (2, 1000, 32767, 32768, 65535):
                growth = Growth()
                with contextlib.ExitStack() as inner:
                    if trusted:
                        inner.enter_context(trusting(f"{source}/{128 if ':' in server else 32}"))
                    client = inner.enter_context(Client(server, source=source))
                    client.open("file", ("blksize", 1024))
                    client.ack(0)
                    client.block(1)
                    client.ack(block)
                    growth.expect(transfers_aborted=0 if trusted else 1, acks_received=2)
                    if not trusted:
                        client.peer = None
                        continue
                    client.ack(0)  # not new, but once true
                    client.ack(1)
                    same(FILE[1024:2048], client.block(2))


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


def march(server, sources, seconds):
    """Forged transfers, each block acknowledged as soon as it is sent, so that all
    is sent that ever is. Returns how many bytes that was, in how many seconds.
    """
    forger, spy = Forger(server), Spy(server)
    packet = request("large", (("blksize", 1400), ("windowsize", 64)))
    neighbours(server)
    growth, bill = Growth(), Bill()
    begun = time.monotonic()
    for source in sources:
        forger.send(source, 2000, 69, packet)
    wait_for("the transfers", lambda: growth["transfers_started"] == len(sources))
    for source in sources:
        forger.send(source, 2000, 69, ack(0))
    while time.monotonic() < begun + seconds:
        if seen := spy.block():
            forger.send(seen[0], 2000, 69, ack(seen[1]))
    blocks, sent = growth["blocks_sent"], bill.tx_bytes - 14 * bill.tx_packets
    took = time.monotonic() - begun
    note(f"{len(sources)} sources, {took:.2f} s: {blocks} blocks, {sent} bytes out")
    for source in sources:
        forger.send(source, 2000, 69, error())
    idle()
    return sent, took


@test("single port: who is held back and falls silent is given up like others")
def _(server):
    with single_port(untrusted_rate=1, give_up=3), beyond(server, 6150) as (source,):
        growth = Growth()
        with Client(server, source=source) as client:
            client.open("file", ("blksize", 1024), ("utimeout", 10000))
            client.ack(0)
            client.block(1)
            client.ack(1)
            client.skip_to(2)  # a second after the first
            growth.expect(transfers_bounded=1)
            growth.expect(transfers_failed=1, transfers_active=0)
            # Each repetition had to wait as well.
            between("blocks", 2, growth["blocks_sent"], 8)
            client.peer = None


@test("single port: an answer that is held back comes, however often it was asked for")
def _(server):
    with single_port(untrusted_rate=1), beyond(server, 6160) as (source,):
        growth = Growth()
        with Client(server, source=source) as first, Client(server, source=source) as client:
            first.open("file", ("blksize", 1024))
            first.ack(0)
            first.block(1)
            first.error()
            first.peer = None
            packet = request("short")
            for _ in range(5):
                client.send(packet, client.listener)
            growth.expect(requests_repeated=4, transfers_bounded=1, blocks_sent=1)
            same(SHORT[:512], client.block(1))
            client.ack(1)
            same(SHORT[512:1024], client.block(2))
            growth.expect(blocks_sent=3)
            client.error()
            client.peer = None


@test("single port: no more than untrusted-rate to a source")
def _(server):
    with single_port(untrusted_rate=16):
        bounded(16, *march(server, [away(server, 6200)], 4))


@test("single port: no more than untrusted-total to all of them")
def _(server):
    with single_port(untrusted_total=32):
        bounded(32, *march(server, [away(server, 6300 + 300 * n) for n in range(4)], 4))


@test("single port: a client beyond a router gets its file, at that rate until it is trusted")
def _(server):
    host = 128 if ":" in server else 32
    with single_port(), events() as until, contextlib.ExitStack() as stack:
        growth = Growth()
        near = stack.enter_context(Client(server))
        equal("window on the link", "8", near.open("file", *WINDOW)["windowsize"])
        near.error()
        near.peer = None
        growth.expect(transfers_bounded=0, transfers_active=0)

        source, other = stack.enter_context(beyond(server, 6400, 6700))
        client = stack.enter_context(Client(server, source=source))
        begun = time.monotonic()
        equal("window", "1", client.open("file", *WINDOW)["windowsize"])
        client.ack(0)
        got = client.resume(1, 1, 1024)
        took = time.monotonic() - begun
        same(FILE, got)
        note(f"{took:.2f} s")
        bounded(64, len(got), took)
        growth.expect(transfers_bounded=1)
        # What little is asked for without a window is not held back.
        small = stack.enter_context(Client(server, source=other))
        same(SHORT, fetch(small, "short"))
        small.peer = None
        growth.expect(transfers_bounded=1, transfers_active=0)

        # Trust lifts it, at once for what is under way.
        client.peer = None
        equal("window", "1", client.open("large", *WINDOW)["windowsize"])
        for block in range(8):
            client.ack(block)
            client.skip_to(block + 1)
        growth.expect(transfers_bounded=2)
        with trusting(f"{source}/{host}"):
            begun = time.monotonic()
            for block in range(8, 600):
                client.ack(block)
                client.skip_to(block + 1)
            took = time.monotonic() - begun
            note(f"592 blocks in {took:.2f} s, once trusted")
            client.error()
            client.peer = None
            growth.expect(transfers_active=0)
            equal("window of one that is trusted", "8", client.open("short", *WINDOW)["windowsize"])
            client.error(Code.OPTION)
            client.peer = None
            client.request("goodbye")
            client.expect(Error)
            client.peer = None
        told = [e for e in until("refused", "goodbye") if e["type"] == "bounded"]
        equal("events", 1, len(told))
        equal("client", source, told[0]["client_address"])
        assert "neither on the link nor trusted" in told[0]["reason"], told[0]


# ---- a flood, a storm ----


@contextlib.contextmanager
def flood(server):
    """Forged requests as fast as they can be sent, each from another source."""
    forger = Forger(server)
    packet = request("large", (("blksize", 1400), ("windowsize", 64)))
    packets = [
        forger.packet(away(server, number), random.randrange(1024, 65536), 69, packet)
        for number in range(20_000, 22_000)
    ]
    child = os.fork()
    if not child:
        try:
            while os.getppid() != 1:
                for each in packets:
                    forger.socket.send(each)
        finally:
            os._exit(0)
    try:
        yield
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def stubborn(client, name, wanted, patience=30):
    """Fetch a file as firmware does: what is not answered is sent again."""
    end = time.monotonic() + patience
    blocks = []
    client.request(name, WINDOW)
    while time.monotonic() < end:
        packet = client.poll(1)
        packet = packet and parse(packet)
        if packet is None and client.peer:
            client.ack(len(blocks))
        elif packet is None:
            client.request(name, WINDOW)
        elif isinstance(packet, Oack):
            client.ack(0)
        elif isinstance(packet, Data) and packet.block == len(blocks) + 1:
            blocks.append(packet.payload)
            if packet.length < 1024:
                client.ack(len(blocks))
                return same(wanted, b"".join(blocks))
            if len(blocks) % 8 == 0:
                client.ack(len(blocks))
        elif isinstance(packet, Error):
            # Its transfer had to give way, or it was slow.
            blocks.clear()
            client.request(name, WINDOW)
    raise AssertionError(f"not done after {patience} s, {len(blocks)} blocks")


@test("new clients are served during a flood of forged requests")
def _(server):
    neighbours(server)
    growth, bill = Growth(), Bill()
    with flood(server):
        wait_for("the flood", lambda: growth["transfers_evicted"] > 1000)
        took = []
        before = growth["requests"]
        for number in range(50):
            if number >= 5 and growth["requests"] > before + 1000:
                break
            begun = time.monotonic()
            with Client(server, source=lan(server, 600 + number)) as client:
                stubborn(client, "file", FILE)
            took.append(time.monotonic() - begun)
        assert growth["requests"] > before + 1000, "it was no flood meanwhile"
        note(f"took {', '.join(f'{t:.2f}' for t in took)} s each")
        requests = growth["requests"]
    note(f"{requests} requests, {growth['transfers_evicted']} evicted, {bill.tx_packets} packets out")
    assert bill.tx_packets <= 3 * requests
    idle()


class Booting(Client):
    """One of many, driven by what comes."""

    def __init__(self, server, **more):
        super().__init__(server, **more)
        self.blocks = []
        self.done = False

    def step(self):
        while not self.done and (packet := self.poll()) is not None:
            packet = parse(packet)
            if isinstance(packet, Oack):
                self.ack(0)
            elif isinstance(packet, Data) and packet.block == len(self.blocks) + 1:
                self.blocks.append(packet.payload)
                if packet.length < 1024:
                    self.ack(packet.block)
                    self.done = True
            elif isinstance(packet, Error):
                raise AssertionError(f"refused: {packet}")


def storm(clients):
    """All of them ask at once; how long it takes until all have asked, and
    until all have the file.
    """
    poll = select.poll()
    by_fd = {client.socket.fileno(): client for client in clients}
    for fd in by_fd:
        poll.register(fd, select.POLLIN)

    def serve(milliseconds):
        for fd, _ in poll.poll(milliseconds):
            by_fd[fd].step()

    begun = answered = time.monotonic()
    for client in clients:
        client.request("short", WINDOW)
        # The server waits 5 s for an answer, however slow this process is.
        if time.monotonic() > answered + 0.5:
            serve(0)
            answered = time.monotonic()
    asked = time.monotonic() - begun
    while not all(client.done for client in clients):
        if time.monotonic() - begun > PATIENCE:
            raise AssertionError(f"{sum(not c.done for c in clients)} of {len(clients)} not served")
        serve(100)
    for client in clients:
        same(SHORT, b"".join(client.blocks))
        client.peer = None
    note(f"{len(clients)} clients asked within {asked:.2f} s, were done after {time.monotonic() - begun:.2f} s")


@test("500 clients of one LAN at once: nobody is refused")
def _(server):
    growth = Growth()
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(Booting(server, source=lan(server, 700 + n))) for n in range(500)]
        storm(clients)
    growth.expect(
        requests_limited=0,
        requests_dropped=0,
        transfers_evicted=0,
        transfers_failed=0,
        transfers_completed=500,
    )


@test("64 clients of one NAT that is trusted, at once: nobody is refused")
def _(server):
    growth = Growth()
    wide = "2001:db8::/32" if ":" in server else "100.64.0.0/10"
    with contextlib.ExitStack() as stack, beyond(server, 3000) as sources, trusting(wide):
        clients = [stack.enter_context(Booting(server, source=sources[0])) for _ in range(64)]
        storm(clients)
    growth.expect(requests_limited=0, requests_dropped=0, transfers_completed=64)


if __name__ == "__main__":
    with namespaces("attacker"):
        links()
        run()
