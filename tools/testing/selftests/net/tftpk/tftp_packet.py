# SPDX-License-Identifier: GPL-2.0
"""TFTP, one packet at a time.

build: request(), ack(), data(), error() make the bytes of a packet
parse: parse() makes a Data, Ack, Error, Oack or Request of them
talk:  Client is an endpoint that sends what it is told, nothing by itself,
       and hands over whatever comes back

Option names and values, file names and payloads may be str, bytes or int, so
that a test can send what no client would.
"""

import dataclasses
import enum
import random
import socket
import struct
import time


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

    @property
    def names(self):
        return [name for name, _ in self.options]


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


# ---- an endpoint ----


class Client:
    """One endpoint: a UDP socket. It never answers by itself.

    server      address of the server, its zone included where it needs one
    port        where requests go
    source      own address and port; any by default
    device      interface to be bound to
    patience    seconds that receive() waits

    peer is the address of the server's transfer identifier once a packet came
    from it, and stays what the first packet made it: packets of other senders
    are handed over as well, see `sender`.
    """

    def __init__(self, server, port=69, source=None, source_port=0, device=None, patience=30):
        family = socket.AF_INET6 if ":" in server else socket.AF_INET
        self.family = family
        self.patience = patience
        self.listener = self.resolve(server, port)
        self.peer = None
        self.sender = None
        self.socket = socket.socket(family, socket.SOCK_DGRAM)
        try:
            # A whole window has to fit, and every duplicate of it.
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
            if device:
                self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, device.encode())
            if source or source_port:
                anyone = "::" if family == socket.AF_INET6 else "0.0.0.0"
                self.socket.bind(self.resolve(source or anyone, source_port))
        except OSError:
            self.socket.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
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

    # -- sending

    def send(self, packet, to=None):
        """Send bytes, to the transfer identifier unless told otherwise."""
        self.socket.sendto(packet, to or self.peer or self.listener)

    def request(self, name, options=(), mode="octet", op=Op.RRQ):
        """Begin anew: whoever answers first is the peer."""
        self.peer = None
        self.send(request(name, options, mode, op))

    def ack(self, block):
        self.send(ack(block))

    def error(self, code=Code.UNDEFINED, text=""):
        self.send(error(code, text))

    # -- receiving

    def poll(self, seconds=0.0):
        """The next packet's bytes, or None. Sets sender, and peer if there is
        none yet.
        """
        self.socket.settimeout(max(seconds, 0.0))
        try:
            packet, self.sender = self.socket.recvfrom(1 << 16)
        except (BlockingIOError, TimeoutError):
            return None
        if not self.peer:
            self.peer = self.sender
        return packet

    def receive(self, seconds=None):
        """The next packet, parsed."""
        seconds = self.patience if seconds is None else seconds
        packet = self.poll(seconds)
        if packet is None:
            raise Unexpected(f"nothing came within {seconds:g} s")
        return parse(packet)

    def expect(self, kind, seconds=None, **fields):
        """The next packet, which must be of that kind (or of one of several, as
        in Data | Oack), from the peer, and have these fields.
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
            raise Unexpected(f"nothing was to come, but {parse(packet)} of {self.sender} did")

    def arrived(self):
        """All that has come already, without waiting."""
        packets = []
        while (packet := self.poll()) is not None:
            packets.append(parse(packet))
        return packets

    def wait_for(self, kind, seconds=None):
        """The next packet of a kind, whatever comes before it."""
        end = time.monotonic() + (self.patience if seconds is None else seconds)
        while True:
            packet = self.receive(max(end - time.monotonic(), 0.0))
            if isinstance(packet, kind):
                return packet

    # -- whole transfers

    def window(self, first, count, blksize=512):
        """Blocks first to first + count - 1 in order, or up to the last block
        of the file; what was sent before is skipped. Does not acknowledge.
        Returns the payloads.

        A probe repeats the window's last block. Where a processor stands still
        with the window in its queue, that of another comes before it: once, or
        blocks were left out.
        """
        payloads = []
        overtaken = False
        while len(payloads) < count:
            packet = self.receive()
            if isinstance(packet, Oack) and first == 1 and not payloads:
                continue
            if not isinstance(packet, Data):
                raise Unexpected(f"wanted block {first + len(payloads)}, got {packet}")
            if packet.block == (first + len(payloads)) & 0xFFFF:
                payloads.append(packet.payload)
                if packet.length < blksize:
                    break
            elif (first + len(payloads) - packet.block) & 0xFFFF > 0x8000:
                last = packet.length < blksize or packet.block == (first + count - 1) & 0xFFFF
                if overtaken or not last:
                    raise Unexpected(f"wanted block {first + len(payloads)}, got {packet}")
                overtaken = True
        return payloads

    def resume(self, first, windowsize=1, blksize=512):
        """What is left of a transfer from block first on, acknowledged."""
        content = []
        while True:
            payloads = self.window(first, windowsize, blksize)
            first += len(payloads)
            content += payloads
            self.ack(first - 1)
            if len(payloads[-1]) < blksize:
                return b"".join(content)

    def fetch(self, name, options=()):
        """A whole file."""
        options = dict(options)
        self.request(name, options)
        granted = {}
        if options:
            granted = dict(self.expect(Oack).options)
            self.ack(0)
        return self.resume(1, int(granted.get("windowsize", 1)), int(granted.get("blksize", 512)))


def attempt(server, name, options=(), mode="octet", tries=2):
    """What a client gets that asks again when nothing comes: a file's content,
    an Error, or None.
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


def any_port():
    """A port that is likely to be free."""
    return random.randrange(20000, 30000)
