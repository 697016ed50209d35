# SPDX-License-Identifier: GPL-2.0
"""TFTP, one packet at a time.

build: request(), ack(), data(), error() make the bytes of a packet
parse: parse() makes a Data, Ack, Error, Oack or Request of them
talk:  Client is an endpoint that sends what it is told, nothing by itself, and
       hands over whatever comes back; Transfer takes the usual course

Option names and values, file names and payloads may be str, bytes or int, so
that a test can send what no client would.
"""

import contextlib
import dataclasses
import enum
import socket
import struct
import time

from .host import PATIENCE, VIRTUAL
from .ktap import trail


class Op(enum.IntEnum):
    RRQ = 1
    WRQ = 2
    DATA = 3
    ACK = 4
    ERROR = 5
    OACK = 6


class Code(enum.IntEnum):
    UNDEFINED = 0
    NOT_FOUND = 1
    ACCESS = 2
    FULL = 3
    OPERATION = 4
    TID = 5
    EXISTS = 6
    USER = 7
    OPTION = 8


class Malformed(Exception):
    """The bytes are no TFTP packet."""


class Unexpected(AssertionError):
    """A packet other than the one that had to come, or none."""


@dataclasses.dataclass(frozen=True)
class Request:
    op: Op
    name: str
    mode: str
    options: tuple


@dataclasses.dataclass(frozen=True)
class Data:
    block: int
    payload: bytes = dataclasses.field(repr=False)
    length: int = dataclasses.field(init=False)

    def __post_init__(self):
        object.__setattr__(self, "length", len(self.payload))


@dataclasses.dataclass(frozen=True)
class Ack:
    block: int


@dataclasses.dataclass(frozen=True)
class Error:
    code: int
    text: str


@dataclasses.dataclass(frozen=True)
class Oack:
    """Options as (name, value) in the order of the packet."""

    options: tuple

    def __getitem__(self, name):
        return dict(self.options)[name]


# ---- bytes ----


def raw(value):
    """The bytes of something that a test sends."""
    if isinstance(value, bytes):
        return value
    return str(value).encode("utf-8", "surrogateescape")


def string(value):
    return raw(value) + b"\0"


def request(name, options=(), mode="octet", op=Op.RRQ):
    """An RRQ or WRQ. options is a dict, or a sequence of pairs where names
    repeat.
    """
    pairs = options.items() if isinstance(options, dict) else options
    parts = [struct.pack("!H", op), string(name), string(mode)]
    for key, value in pairs:
        parts += [string(key), string(value)]
    return b"".join(parts)


def ack(block):
    return struct.pack("!HH", Op.ACK, block & 0xFFFF)


def data(block, payload=b""):
    return struct.pack("!HH", Op.DATA, block & 0xFFFF) + payload


def error(code=Code.UNDEFINED, text=""):
    return struct.pack("!HH", Op.ERROR, code) + string(text)


def split(text):
    """The NUL-terminated strings that text consists of."""
    if not text:
        return []
    if not text.endswith(b"\0"):
        raise Malformed("the last string has no end")
    return [part.decode("utf-8", "surrogateescape") for part in text[:-1].split(b"\0")]


def pairs_of(strings):
    if len(strings) % 2:
        raise Malformed("an option without a value")
    return tuple(zip(strings[::2], strings[1::2]))


def parse(packet):
    """What a packet says. Stricter than most clients: a server has no excuse."""
    if len(packet) < 4 and packet[:2] != struct.pack("!H", Op.OACK):
        raise Malformed(f"{len(packet)} bytes")
    op = struct.unpack_from("!H", packet)[0]
    if op in (Op.RRQ, Op.WRQ):
        strings = split(packet[2:])
        if len(strings) < 2:
            raise Malformed("a request without a mode")
        return Request(Op(op), strings[0], strings[1], pairs_of(strings[2:]))
    if op == Op.OACK:
        return Oack(pairs_of(split(packet[2:])))
    number = struct.unpack_from("!H", packet, 2)[0]
    if op == Op.DATA:
        return Data(number, packet[4:])
    if op == Op.ACK:
        if len(packet) != 4:
            raise Malformed("something follows the ACK")
        return Ack(number)
    if op == Op.ERROR:
        texts = split(packet[4:])
        if len(texts) != 1:
            raise Malformed("an ERROR wants one text")
        return Error(number, texts[0])
    raise Malformed(f"opcode {op}")


def shown(packet):
    try:
        return str(parse(packet))
    except (Malformed, struct.error):
        return f"{len(packet)} bytes, {packet[:40]!r}"


@dataclasses.dataclass
class Seen:
    """A line of the trail. To parse a packet takes longer than to send it: not unless it
    is shown.
    """

    where: str
    packet: bytes

    def __str__(self):
        return f"{self.where} {shown(self.packet)}"


# ---- an endpoint ----

SO_RCVBUFFORCE = 33
SO_TIMESTAMPNS = 35
UDP_GRO = 104

# Keeps time stamps on: with the first socket that wants them, and again after
# the last, the kernel patches its own code, which emulators do not like often.
stamping = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
stamping.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)


class Client:
    """One endpoint: a UDP socket. It never answers by itself; at the end of a with
    statement it ends its transfer.

    server      address of the server, its zone included where it needs one
    port        where requests go
    source      own address and port; any by default
    device      interface to be bound to
    patience    seconds that receive() waits

    peer is the address of the server's transfer identifier once a packet came
    from it, and stays what the first packet made it: packets of other senders
    are handed over as well, see `sender`. `at` is when the last packet came, as
    the kernel has it, however late it is read.

    By virtual time every packet is handed over. In real time a client may stand
    still for as long as it takes the server to ask again, and what two processors
    send may overtake. There a client does as RFC 1350 wants it: DATA comes in order
    and once, an OACK or ACK once, and nothing of a transfer before.
    """

    def __init__(self, server, port=69, source=None, source_port=0, device=None, patience=PATIENCE):
        self.family = socket.AF_INET6 if ":" in server else socket.AF_INET
        self.patience = patience
        self.listener = self.resolve(server, port)
        self.peer = self.sender = self.at = None
        self.begun = 0.0  # when it asked last
        # In real time: the block that is to come, by sender; those that came too
        # early; OACKs; the last ACKs; the senders of transfers before.
        self.next = {}
        self.early = {}
        self.oacks = set()
        self.acks = {}
        self.former = set()
        self.socket = socket.socket(self.family, socket.SOCK_DGRAM)
        try:
            # A whole window has to fit, and every duplicate of it.
            self.socket.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 1 << 24)
            self.socket.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
            if device:
                self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, device.encode())
            if source or source_port:
                anyone = "::" if self.family == socket.AF_INET6 else "0.0.0.0"
                self.socket.bind(self.resolve(source or anyone, source_port))
        except OSError:
            self.socket.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.peer:
            with contextlib.suppress(OSError):
                self.error(text="the test is over")
        self.close()

    def close(self):
        self.socket.close()

    def resolve(self, address, port):
        return socket.getaddrinfo(
            address, port, self.family, socket.SOCK_DGRAM, flags=socket.AI_NUMERICHOST
        )[0][4]

    @property
    def port(self):
        """The own port."""
        return self.socket.getsockname()[1]

    def remember(self, at, where, packet):
        trail.append(Seen(f"{at % 1000:8.3f} {self.port} {where}", packet))

    # -- sending

    def send(self, packet, to=None):
        """Send bytes, to the transfer identifier unless told otherwise."""
        to = to or self.peer or self.listener
        self.remember(time.time(), f"-> {to[1]}", packet)
        if packet[:2] == b"\0\4":
            self.next[to] = int.from_bytes(packet[2:4], "big") + 1 & 0xFFFF
        self.socket.sendto(packet, to)

    def request(self, name, options=(), mode="octet", op=Op.RRQ):
        """Begin anew: whoever answers first is the peer."""
        if self.peer != self.listener:
            self.former.add(self.peer)
        self.peer = None
        self.begun = time.time()
        for forgotten in self.next, self.early, self.oacks, self.acks:
            forgotten.clear()
        self.send(request(name, options, mode, op))

    def ack(self, block):
        self.send(ack(block))

    def error(self, code=Code.UNDEFINED, text=""):
        self.send(error(code, text))

    # -- receiving

    def due(self, packet):
        """In real time: is it to be handed over now?"""
        sender, number = self.sender, int.from_bytes(packet[2:4], "big")
        if sender in self.former:
            # One in 256 has the port of one before: what is repeated is its own.
            if self.at - self.begun < 0.9:
                return False
            self.former.remove(sender)
        if packet[:2] == b"\0\6":
            known = (sender, packet) in self.oacks
            self.oacks.add((sender, packet))
            return not known
        if packet[:2] == b"\0\4":
            known = self.acks.get(sender) == packet
            self.acks[sender] = packet
            return not known
        if packet[:2] != b"\0\3":
            return True
        wanted = self.next.get(sender, 1)
        if number == wanted or (wanted, number) == (0, 1):
            self.next[sender] = number + 1 & 0xFFFF
            return True
        if number - wanted & 0xFFFF < 0x8000:
            self.early[sender, number] = packet
        return False

    def overdue(self):
        """One that came too early, and is to be handed over now, or None."""
        for sender, number in self.next.items():
            if packet := self.early.pop((sender, number), None):
                self.sender = sender
                self.due(packet)
                return packet
        return None

    def poll(self, seconds=0.0):
        """The next packet's bytes, or None. Sets sender, and peer if there is
        none yet.
        """
        end = time.monotonic() + seconds
        while not (packet := self.overdue()):
            self.socket.settimeout(max(end - time.monotonic(), 0.0))
            try:
                packet, more, _, self.sender = self.socket.recvmsg(1 << 16, 64)
            except (BlockingIOError, TimeoutError):
                return None
            self.at = time.time()
            for level, kind, value in more:
                if (level, kind) == (socket.SOL_SOCKET, SO_TIMESTAMPNS):
                    whole, ns = struct.unpack("@ll", value)
                    self.at = whole + ns / 1e9
                else:
                    self.told(level, kind, value)
            self.remember(self.at, f"<- {self.sender[0]} {self.sender[1]}", packet)
            if VIRTUAL or self.due(packet):
                break
        if not self.peer:
            self.peer = self.sender
        return packet

    def told(self, level, kind, value):
        """What else the kernel says of a packet, where it was asked to."""

    def receive(self, seconds=None):
        """The next packet, parsed."""
        seconds = self.patience if seconds is None else seconds
        packet = self.poll(seconds)
        if packet is None:
            raise Unexpected(f"nothing came within {seconds:g} s")
        return parse(packet)

    def expect(self, kind, seconds=None, **fields):
        """The next packet, which must be of that kind, from the peer, and have
        these fields.
        """
        packet = self.receive(seconds)
        wrong = not isinstance(packet, kind) or self.sender != self.peer
        if wrong or any(getattr(packet, name) != value for name, value in fields.items()):
            wanted = ", ".join(f"{name}={value!r}" for name, value in fields.items())
            raise Unexpected(
                f"wanted {getattr(kind, '__name__', kind)}({wanted}) of {self.peer}, got {packet} of {self.sender}"
            )
        return packet

    def expect_silence(self, seconds):
        packet = self.poll(seconds)
        if packet is not None:
            raise Unexpected(f"nothing was to come, but {shown(packet)} of {self.sender} did")

    def arrived(self, seconds=0.0):
        """All that has come already, or comes within that time: pairs of when and
        what.
        """
        end = time.monotonic() + seconds
        packets = []
        while (packet := self.poll(max(end - time.monotonic(), 0.0))) is not None:
            packets.append((self.at, parse(packet)))
        return packets

    # -- the usual steps

    def open(self, name, *options, mode="octet"):
        """Ask, and take the OACK; returns it."""
        self.request(name, options, mode)
        return self.expect(Oack)

    def insist(self, name, *options, tries=3):
        """Ask, each second again, as who knows of no transfer: what comes of one is
        not understood. Returns the OACK that tells the size wanted.
        """
        for _ in range(tries):
            self.request(name, (*options, ("tsize", 0)))
            end = time.monotonic() + 1
            while (packet := self.poll(end - time.monotonic())) is not None:
                if isinstance(packet := parse(packet), Oack):
                    self.peer = self.sender
                    return packet
        raise Unexpected(f"no OACK after {tries} requests")

    def ask(self, name, *options, mode="octet"):
        """Ask, and end the transfer upon the answer; returns that."""
        self.request(name, options, mode)
        packet = self.receive()
        self.error(Code.OPTION, "only asking")
        return packet

    def block(self, number):
        """DATA with that number; returns the payload."""
        return self.expect(Data, block=number & 0xFFFF).payload

    def blocks(self, first, last):
        """DATA with these numbers in order; returns the payload."""
        return b"".join(self.block(number) for number in range(first, last + 1))


class Transfer:
    """The usual course of a transfer: every block in order, every window
    acknowledged once. Anything else is a failure, but gaps are told where the
    transfer is `lossy`, and what came before is nothing new there.
    """

    def __init__(self, client, name, *options, mode="octet", rollover=0, lossy=False):
        self.client = client
        self.rollover = rollover
        self.lossy = lossy
        self.blksize = 512
        self.window = 1
        self.payloads = []
        self.blocks = 0  # that have come, counted without rolling over
        self.acked = 0
        self.done = False
        self.oack = None
        self.gap = False  # that was told
        client.request(name, options, mode)
        packet = client.receive()
        if isinstance(packet, Data):
            self.take(packet)
            return
        if not isinstance(packet, Oack):
            raise Unexpected(f"wanted OACK or DATA, got {packet}")
        self.oack = dict(packet.options)
        self.blksize = int(self.oack.get("blksize", 512))
        self.window = int(self.oack.get("windowsize", 1))
        client.ack(0)

    def wire(self, block):
        """The number of a block in its packet."""
        if self.rollover and block > 65535:
            return (block - 1) % 65535 + 1
        return block & 0xFFFF

    def take(self, packet):
        wanted = self.wire(self.blocks + 1)
        if self.lossy and isinstance(packet, Oack):
            return
        if not isinstance(packet, Data) or packet.length > self.blksize:
            raise Unexpected(f"wanted block {wanted}, got {packet}")
        if packet.block != wanted:
            if not self.lossy:
                raise Unexpected(f"wanted block {wanted}, got {packet}")
            if not self.gap and (packet.block - wanted) & 0xFFFF < 0x8000:
                self.client.ack(self.wire(self.blocks))
                self.acked = self.blocks
                self.gap = True
            return
        self.gap = False
        self.payloads.append(packet.payload)
        self.blocks += 1
        self.done = packet.length < self.blksize
        if self.done or self.blocks == self.acked + self.window:
            self.acked = self.blocks
            self.client.ack(self.wire(self.blocks))

    def step(self, blocks=1):
        """Take that many blocks."""
        upto = self.blocks + blocks
        while self.blocks < upto:
            if self.done:
                raise Unexpected(f"the file ended with block {self.blocks}")
            self.take(self.client.receive())
        return self

    def finish(self):
        """Take all that is left; returns the content."""
        while not self.done:
            self.take(self.client.receive())
        return b"".join(self.payloads)

    def hurry(self, upto=None):
        """The same, up to the end of some window or of the file, leaner: for
        many blocks. Takes several at once where they come as one train.
        """
        if not VIRTUAL:
            return self.finish() if upto is None else self.step(upto - self.blocks)
        sock = self.client.socket
        sock.settimeout(PATIENCE)
        sock.setsockopt(socket.IPPROTO_UDP, UDP_GRO, 1)
        size = self.blksize + 4
        blocks = self.blocks
        while not self.done and blocks != upto:
            train, source = sock.recvfrom(1 << 17)
            if self.client.peer is None:
                self.client.peer = source
            for at in range(0, len(train), size):
                number = self.wire(blocks + 1)
                if train[at : at + 4] != struct.pack("!HH", Op.DATA, number):
                    raise Unexpected(f"wanted block {number} ({blocks + 1}), got {shown(train[at:at + size])}")
                self.payloads.append(train[at + 4 : at + size])
                blocks += 1
                self.done = len(train) - at < size
                if self.done or blocks == self.acked + self.window:
                    self.acked = blocks
                    if blocks == upto:
                        sock.setsockopt(socket.IPPROTO_UDP, UDP_GRO, 0)
                    sock.sendto(struct.pack("!HH", Op.ACK, number), self.client.peer)
        self.blocks = blocks
        return b"".join(self.payloads)


def fetch(client, name, *options, **more):
    """Fetch a file the usual way; returns its content."""
    return Transfer(client, name, *options, **more).finish()


def fetch_anyway(server, name, *options, mode="octet", tries=2):
    """What a client gets that asks again when nothing comes: a file's content, an
    Error, or None after so many times.
    """
    with Client(server) as client:
        last = request(name, options, mode)
        blksize, windowsize, since = 512, 1, 0
        got = []
        client.send(last)
        while True:
            packet = client.poll(0.3)
            if packet is None:
                tries -= 1
                if not tries:
                    return None
                client.send(last)
                continue
            packet = parse(packet)
            if isinstance(packet, Error):
                return packet
            if isinstance(packet, Oack):
                granted = dict(packet.options)
                blksize = int(granted.get("blksize", blksize))
                windowsize = int(granted.get("windowsize", windowsize))
            elif packet.block == len(got) + 1:
                got.append(packet.payload)
                since += 1
                if packet.length == blksize and since < windowsize:
                    continue
            since = 0
            last = ack(len(got))
            client.send(last)
            if got and len(got[-1]) < blksize:
                return b"".join(got)
