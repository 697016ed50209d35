#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""Packets that no client would send, by the thousand: requests, answers to nothing,
forged and broken headers, ICMP errors, clients that lie. Each test ends with transfers
as they should be, and with a server that has forgotten all the others.
"""

import collections
import contextlib
import itertools
import os
import socket
import struct

from lib import (
    CLIENTS, SRV, WORK, Client, Op, ack, content, ctl, data, error, family, fetch_anyway, idle, mac, make,
    note, request, run, same, served, settings, test, wants_debug_kernel,
)
from lib.agent import inbox
from lib.forge import checksum
from lib.fuzz import SECONDS, Fuzz, seed_told, until
from lib.upload import Upload

wants_debug_kernel()
FILES = {name: make(name, content(size)) for name, size in (("file", 300_000), ("small", 2000), ("empty", 0))}
WINDOWS = (("blksize", 1400), ("windowsize", 32))
ETHERTYPE = {"IPv4": 0x0800, "IPv6": 0x86DD}


class Packets(Fuzz):
    """What chance makes of packets."""

    def some(self, n):
        return self.randbytes(self.randrange(n + 1))

    def number(self):
        """Numbers near to where something happens."""
        near = self.choice((0, 1, 8, 16, 64, 255, 512, 1428, 10000, 32767, 65464, 65535, 1 << 31, 1 << 32, 1 << 64))
        return max(near + self.randrange(-2, 3), 0) if self.one_in(2) else self.randrange(1 << self.randrange(1, 70))

    def name(self):
        return self.choice((
            "file", "file", "small", "empty", "none", "", "/file", "//file", "\\file", "../file", "./file/", "/",
            "..", "../../etc/passwd", "%s%n", "file/x", "a/" * 600, "x" * 255, "x" * 256, b"\xff\xfe", b"\x01",
        ))

    def mode(self):
        return self.choice(("octet", "octet", "octet", "OCTET", "netascii", "mail", "", "octets", b"\xff"))

    def option(self):
        name = self.choice(("blksize", "timeout", "tsize", "windowsize", "rollover", "utimeout", "x", "", "BLKSIZE"))
        value = self.choice((self.number(), self.number(), self.number(), "", "x", "-1", "+1", " 1", "0" * 40, b"\xff"))
        return name, value

    def bend(self, packet):
        """Cut, prolong or change it, sometimes."""
        kind = self.randrange(8)
        if kind == 0:
            return packet[: self.randrange(len(packet) + 1)]
        if kind == 1:
            return packet + self.some(40)
        if kind == 2 and packet:
            changed = bytearray(packet)
            for _ in range(self.randrange(1, 6)):
                changed[self.randrange(len(changed))] = self.randrange(256)
            return bytes(changed)
        if kind == 3 and self.one_in(4):
            return packet + bytes(self.randrange(4000))
        return packet

    def request(self):
        options = [self.option() for _ in range(self.choice((0, 0, 1, 2, 3, 8, 30)))]
        op = self.choice((Op.RRQ, Op.RRQ, Op.RRQ, Op.RRQ, Op.WRQ))
        return self.bend(request(self.name(), options, self.mode(), op))

    def other(self):
        kind = self.randrange(8)
        if kind < 4:
            return self.bend(ack(self.choice((0, 1, 2, 3, self.randrange(65536), 65535))))
        if kind == 4:
            return self.bend(error(self.randrange(12), "x" * self.randrange(80)))
        if kind == 5:
            return self.bend(data(self.randrange(65536), self.some(600)))
        if kind == 6:
            return self.bend(struct.pack("!H", self.randrange(10)) + self.some(60))
        return self.some(80)

    def packet(self):
        return self.request() if self.one_in(2) else self.other()


def answer(packet):
    """The ACK that a packet asks for."""
    return ack(struct.unpack_from("!H", packet, 2)[0] if packet[1] == Op.DATA else 0)


def recover(server, sent):
    """The server serves, and forgets those that went silent."""
    note(f"{sent} packets")
    # Whoever behaves may be slow.
    with settings(give_up=30):
        # A long one in lock step would take longer than all the rest.
        for name, options in (("file", WINDOWS), *itertools.product(("small", "empty"), (WINDOWS, ()))):
            got = fetch_anyway(server, name, *options, tries=60)
            if not isinstance(got, bytes):
                raise AssertionError(f"{name}: {got}")
            same(FILES[name], got)
    idle()


@test("requests, well-formed and not")
def _(server):
    f = Packets(server, "requests")
    sent = 0
    clients = [Client(server) for _ in range(8)]
    for _ in until(SECONDS):
        client = f.choice(clients)
        client.peer = None
        try:
            client.send(f.request())
        except OSError:  # too long for one datagram
            continue
        sent += 1
        if f.one_in(20):
            clients.remove(client)
            client.close()
            clients.append(Client(server))
    for client in clients:
        client.close()
    recover(server, sent)


@test("answers to nothing, to every port")
def _(server):
    f = Packets(server, "answers")
    sent = 0
    ports = {69}
    with Client(server) as client, Client(server) as stranger:
        for _ in until(SECONDS):
            if f.one_in(10):
                client.request("file", {"windowsize": 4})
            while client.poll() is not None:
                ports.add(client.sender[1])
            stranger.poll()
            address = list(stranger.listener)
            address[1] = f.choice(sorted(ports)) if f.one_in(2) else f.randrange(1, 65536)
            f.choice((client, stranger)).send(f.other(), tuple(address))
            sent += 1
    recover(server, sent)


@test("clients that lie")
def _(server):
    f = Packets(server, "clients")
    sent = 0
    clients = []
    for _ in until(SECONDS):
        if len(clients) < 10:
            client = Client(server)
            options = [("blksize", f.randrange(8, 3000)), ("windowsize", f.randrange(1, 70))]
            client.request(f.choice(("file", "file", "empty")), f.sample(options, f.randrange(3)), f.mode())
            clients.append(client)
        client = f.choice(clients)
        packet = client.poll()
        try:
            if packet is None:
                client.send(f.other())
            elif f.one_in(3):
                client.send(ack(struct.unpack_from("!H", packet, 2)[0] + f.choice((-2, -1, 1, 2, 5, 32768))))
            elif f.one_in(30):
                client.send(f.other())
            else:
                client.send(answer(packet))
        except (OSError, struct.error):
            pass
        sent += 1
        if f.one_in(100):
            clients.remove(client)
            client.close()
    for client in clients:
        client.close()
    recover(server, sent)


@test("clients that write, and lie")
def _(server):
    f, sent = Packets(server, "writers"), 0
    wanted, fds = content(50_000), collections.deque()

    def opens(_):
        # The server has what it writes to open by itself.
        fds.append(os.open(WORK / "inbox", os.O_TMPFILE | os.O_WRONLY))
        if len(fds) > 50:
            os.close(fds.popleft())
        return {"fd": fds[-1]}

    with inbox(open=opens, commit=lambda _: {"welcome": True}):
        clients = [Client(server) for _ in range(8)]
        following, blksize = dict.fromkeys(clients, 1), dict.fromkeys(clients, 512)
        for _ in until(SECONDS):
            client = f.choice(clients)
            if client.peer is None or f.one_in(30):
                size = f.randrange(8, 1400)
                options = [("windowsize", f.randrange(1, 70)), f.option()][f.randrange(3) :]
                options += [("blksize", size)] * (size > 700)
                client.request("file", options, f.choice(("octet", "netascii")), Op.WRQ)
                following[client], blksize[client] = 1, size if size > 700 else 512
            while (packet := client.poll()) is not None:
                if len(packet) >= 4 and packet[1] == Op.ACK and not f.one_in(8):
                    following[client] = struct.unpack_from("!H", packet, 2)[0] + 1
            size = f.randrange(1600) if f.one_in(20) else blksize[client]
            for _ in range(f.randrange(20)):
                number = following[client] + (f.randrange(-70, 70) if f.one_in(8) else 0)
                packet = data(number, f.choice((b"\r", b"x", b"\n")) * size)
                client.send(f.bend(packet) if f.one_in(8) else packet)
                following[client] = number + 1 & 0xFFFF
                sent += 1
            if f.one_in(20):
                client.send(f.packet()[:1400])
        for client in clients:
            client.close()
    while fds:
        os.close(fds.popleft())
    with inbox(), Client(server) as client:
        Upload(client, wanted).ask("written", *WINDOWS).insist(2)
        same(wanted, (WORK / "inbox/written").read_bytes())
    recover(server, sent)


# ---- below UDP ----


class Wire:
    """Ethernet frames from the client's side of the cable."""

    def __init__(self, server):
        self.family = family(server)
        self.v4 = self.family == "IPv4"
        self.client, self.server = self.packed(CLIENTS[self.family]), self.packed(server)
        self.ip = ip4 if self.v4 else ip6
        self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        self.socket.bind(("to-server", 0))
        link = struct.pack("!H", ETHERTYPE[self.family])
        self.header = mac("server", "to-client") + mac("client", "to-server") + link

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def packed(self, address):
        return socket.inet_pton(socket.AF_INET if self.v4 else socket.AF_INET6, address)

    def send(self, packet):
        with contextlib.suppress(OSError):  # longer than the device takes
            self.socket.send((self.header + packet).ljust(60, b"\0"))


# Addresses that a forger may think of, beside those of the network.
FORGED = {
    "IPv4": (
        "192.0.2.2", "192.0.2.2", "192.0.2.1", "192.0.2.255", "192.0.2.0", "127.0.0.1", "0.0.0.0",
        "255.255.255.255", "224.0.0.1", "10.1.2.3",
    ),
    "IPv6": (
        "2001:db8::2", "2001:db8::2", "2001:db8::1", "::1", "::", "ff02::1", "fe80::1", "2001:db9::1",
        "::ffff:192.0.2.2", "2002::1",
    ),
}


def address(f, wire):
    if f.one_in(2):
        return wire.packed(f.choice(FORGED[wire.family]))
    return wire.server[:-1] + f.randbytes(1) if wire.v4 else wire.server[:-2] + f.randbytes(2)


def udp(f, wire, source, target, payload):
    """A UDP header that is right but for what chance has it."""
    port = f.choice((69, 69, 69, f.randrange(65536)))
    own = f.choice((0, 69, f.randrange(65536), f.randrange(65536)))
    length = 8 + len(payload)
    header = struct.pack("!HHHH", own, port, length, 0)
    if wire.v4:
        pseudo = source + target + struct.pack("!BBH", 0, 17, length)
    else:
        pseudo = source + target + struct.pack("!IHBB", length, 0, 0, 17)
    total = checksum(pseudo + header + payload) or 0xFFFF
    kind = f.randrange(12)
    if kind == 0:
        total = f.randrange(65536)
    elif kind == 1:
        total = 0
    elif kind == 2:
        length = f.choice((0, 7, 8, 9, length - 1, length + 1, 65535))
    return struct.pack("!HHHH", own, port, max(length, 0), total) + payload


def ip4(f, source, target, protocol, payload):
    options = f.randbytes(4 * f.randrange(11)) if f.one_in(10) else b""
    length = 20 + len(options) + len(payload)
    fragment = 0x4000 if f.one_in(2) else 0
    kind = f.randrange(16)
    version = 0x45 + len(options) // 4
    if kind == 0:
        length = f.choice((0, 19, 20, 27, 28, length - 1, length + 8, 65535))
    elif kind == 1:
        version = f.randrange(256)
    elif kind == 2:
        fragment = f.randrange(65536)
    header = struct.pack("!BBHHHBBH4s4s", version, f.choice((0, f.randrange(256))), max(length, 0) & 0xFFFF,
                         f.randrange(8), fragment, f.choice((64, 1, 0)), protocol, 0, source, target) + options
    total = checksum(header) if not f.one_in(30) else f.randrange(65536)
    return header[:10] + struct.pack("!H", total) + header[12:] + payload


def ip6(f, source, target, protocol, payload):
    kind = f.randrange(12)
    if kind == 0:  # extension headers, some of which make no sense
        for _ in range(f.randrange(1, 4)):
            before, protocol = protocol, f.choice((0, 43, 44, 60, 60))
            if protocol == 44:
                payload = struct.pack("!BBHI", before, 0, f.choice((0, 1, f.randrange(65536))), f.randrange(4)) + payload
            else:
                n = f.randrange(3)
                body = b"\1" + bytes([n * 8 + 4]) + bytes(n * 8 + 4) if f.one_in(2) else f.randbytes(6 + 8 * n)
                payload = struct.pack("!BB", before, n) + body[: 6 + 8 * n] + payload
    length = len(payload)
    if kind == 1:
        length = f.choice((0, 7, 8, length - 1, length + 1, 65535))
    first = 0x60000000 if not f.one_in(30) else f.randrange(1 << 32)
    return struct.pack("!IHBB16s16s", first, max(length, 0) & 0xFFFF, protocol, f.choice((64, 255, 1)), source,
                       target) + payload


def datagram(f, wire, payload):
    source = address(f, wire)
    target = address(f, wire) if f.one_in(10) else wire.server
    return wire.ip(f, source, target, 17, udp(f, wire, source, target, payload))


def fragments(f, packet):
    """An IPv4 packet in pieces, which may overlap, repeat or be missing."""
    header, payload = bytearray(packet[:20]), packet[20:]
    pieces = []
    at = 0
    while at < len(payload):
        n = 8 * f.randrange(1, 40)
        offset = max(at // 8 - (f.randrange(3) if f.one_in(8) else 0), 0)
        more = 0x2000 if at + n < len(payload) or f.one_in(20) else 0
        piece = header[:]
        struct.pack_into("!H", piece, 2, 20 + len(payload[at:at + n]))
        struct.pack_into("!H", piece, 6, more | offset)
        struct.pack_into("!H", piece, 10, 0)
        struct.pack_into("!H", piece, 10, checksum(bytes(piece)))
        pieces.append(bytes(piece) + payload[at:at + n])
        at += n
    if f.one_in(2):
        f.shuffle(pieces)
    if f.one_in(4) and pieces:
        pieces.pop(f.randrange(len(pieces)))
    if f.one_in(4) and pieces:
        pieces.append(f.choice(pieces))
    return pieces


@test("forged sources, broken headers, wrong checksums, fragments")
def _(server):
    f = Packets(server, "headers")
    sent = 0
    with Wire(server) as wire:
        for _ in until(SECONDS):
            packet = datagram(f, wire, f.packet()[:1400])
            if wire.v4 and f.one_in(8) and len(packet) > 40:
                for piece in fragments(f, packet):
                    wire.send(piece)
            else:
                wire.send(packet)
            sent += 1
    recover(server, sent)


ICMP = {
    "IPv4": ((3, 3), (3, 4), (3, 1), (11, 0), (12, 0)),
    "IPv6": ((1, 4), (2, 0), (1, 0), (3, 0), (4, 0)),
}


@test("ICMP errors about what was sent and what was not")
def _(server):
    f = Packets(server, "ICMP")
    sent = 0
    with Wire(server) as wire, Client(server) as client:
        us, them = wire.client, wire.server
        for _ in until(SECONDS):
            if not client.peer or f.one_in(10):
                client.request("file", (("windowsize", 8),))
            packet = client.poll()
            if packet and f.one_in(2):
                client.send(answer(packet))
            port = client.peer[1] if client.peer and not f.one_in(4) else f.randrange(65536)
            theirs = client.port if not f.one_in(4) else f.randrange(65536)
            quoted = wire.ip(f, them, us, 17, struct.pack("!HHHH", port, theirs, 100, 0) + f.some(40))
            quoted = quoted[: f.randrange(len(quoted) + 1)] if f.one_in(6) else quoted
            kind, code = f.choice(ICMP[wire.family]) if not f.one_in(6) else (f.randrange(256), f.randrange(16))
            body = struct.pack("!I", f.choice((0, 68, 576, 1280, 1400, 1500, 65535))) + quoted
            pseudo = b"" if wire.v4 else us + them + struct.pack("!II", 4 + len(body), 58)
            total = checksum(pseudo + struct.pack("!BBH", kind, code, 0) + body)
            wire.send(wire.ip(f, us, them, 1 if wire.v4 else 58, struct.pack("!BBH", kind, code, total) + body))
            sent += 1
    recover(server, sent)


# ---- while the server is being changed ----


@test("a mixture, while the server is reconfigured", families=("IPv4",))
def _(server):
    f = Packets(server, "mixture")
    sent = 0
    changes = (
        ("zerocopy", (0, 1)), ("gso", (0, 1)), ("clamp-mtu", (0, 1)), ("detect-changes", (0, 1)),
        ("strict-options", (0, 1)), ("reply-at-limit", (0, 1)), ("max-windowsize", (1, 16, 64)),
        ("max-transfers", (1, 20, 10000)), ("max-unverified", (1, 64, 1024)), ("max-per-client", (0, 5)),
    )
    with settings(**{name.replace("-", "_"): values[-1] for name, values in changes}):
        with Wire(server) as wire, Client(server) as client:
            for _ in until(2 * SECONDS):
                for _ in range(30):
                    if f.one_in(2):
                        wire.send(datagram(f, wire, f.packet()[:1400]))
                    else:
                        packet = client.poll()
                        if packet is None:
                            client.request("file", {"windowsize": 32, "blksize": f.randrange(8, 4000)})
                        elif len(packet) >= 4:
                            client.send(answer(packet))
                    sent += 1
                name, values = f.choice(changes)
                what = f.randrange(6)
                if what == 0:
                    ctl("unexport", SRV)
                    ctl("export", SRV)
                elif what == 1:
                    ctl("listen", server)
                    ctl("unlisten", server)
                    ctl("unexport", SRV)
                    ctl("export", SRV)
                elif what == 2:
                    os.utime(SRV / "file")
                else:
                    ctl("set", name, f.choice(values))
    recover(server, sent)


# Silent clients are to be forgotten soon.
run(served(), settings(give_up=2), seed_told())
