# SPDX-License-Identifier: GPL-2.0
"""What tests of the protocol want beyond tftp_packet.py: a client that keeps a
record for the report of a failure, and the usual course of a transfer.
"""

import collections
import contextlib
import socket
import struct
import threading
import time

import tftp_packet
from tftp_packet import Code, Data, Oack, Op, Unexpected
from testbed import PATIENCE

SO_RCVBUFFORCE = 33
SO_TIMESTAMPNS = 35
UDP_GRO = 104

# Keeps time stamps on: with the first socket that wants them, and again after
# the last, the kernel patches its own code, which emulators do not like often.
stamping = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
stamping.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)

# What the clients of each thread sent and got last.
history = threading.local()


def remember(line, at=None):
    if not hasattr(history, "lines"):
        history.lines = collections.deque(maxlen=40)
        history.begun = time.time()
    history.lines.append(f"{(at or time.time()) - history.begun:8.3f} {line}")


def shown(packet):
    try:
        return str(tftp_packet.parse(packet))
    except (tftp_packet.Malformed, struct.error):
        return f"{len(packet)} bytes, {packet[:40]!r}"


def behind(packet, block):
    """Is it a block before that one?"""
    return isinstance(packet, Data) and 0 < (block - packet.block) & 0xFFFF < 0x8000


class Client(tftp_packet.Client):
    """An endpoint that ends its transfer when it is closed, and knows when the
    last packet came: `at`, as the kernel has it, however late this is read.
    """

    def __init__(self, server, **more):
        more.setdefault("patience", PATIENCE)
        super().__init__(server, **more)
        self.socket.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 1 << 24)
        self.socket.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        self.at = None
        self.latest = None

    def __exit__(self, *_):
        if self.peer:
            with contextlib.suppress(OSError):
                self.error(text="the test is over")
        self.close()

    def send(self, packet, to=None):
        to = to or self.peer or self.listener
        remember(f"{self.port} -> {to[1]} {shown(packet)}")
        super().send(packet, to)

    def poll(self, seconds=0.0):
        """As it was, and with the time of arrival."""
        self.socket.settimeout(max(seconds, 0.0))
        try:
            packet, more, _, self.sender = self.socket.recvmsg(1 << 16, 64)
        except (BlockingIOError, TimeoutError):
            return None
        if not self.peer:
            self.peer = self.sender
        self.at = time.time()
        for level, kind, value in more:
            if (level, kind) == (socket.SOL_SOCKET, SO_TIMESTAMPNS):
                whole, ns = struct.unpack("=qq", value)
                self.at = whole + ns / 1e9
            else:
                self.told(level, kind, value)
        remember(f"{self.port} <- {self.sender[0]} {self.sender[1]} {shown(packet)}", self.at)
        return packet

    def told(self, level, kind, value):
        """What else the kernel says of a packet, where it was asked to."""

    def discard(self):
        """Forget what has come already."""
        while self.poll() is not None:
            pass

    def open(self, name, *options, mode="octet"):
        """Ask, and take the OACK, behind what may come late of a transfer
        before; returns it.
        """
        self.request(name, options, mode)
        while isinstance(packet := self.receive(), Data):
            pass
        if not isinstance(packet, Oack):
            raise Unexpected(f"wanted an OACK, got {packet}")
        self.peer = self.sender
        self.latest = None
        return packet

    def insist(self, name, *options, tries=3):
        """Ask, each second again, as who knows of no transfer: what comes of one is
        not understood. Returns the OACK that tells the size wanted.
        """
        for _ in range(tries):
            self.request(name, (*options, ("tsize", 0)))
            end = time.monotonic() + 1
            while (packet := self.poll(end - time.monotonic())) is not None:
                if isinstance(packet := tftp_packet.parse(packet), Oack):
                    self.peer = self.sender
                    return packet
        raise Unexpected(f"no OACK after {tries} requests")

    def ask(self, name, *options, mode="octet"):
        """Ask, and end the transfer upon the answer; returns that."""
        self.request(name, options, mode)
        packet = self.receive()
        self.error(Code.OPTION, "only asking")
        return packet

    def data(self, again=False):
        """DATA. The OACK may come `again` before it, where this client is slow to
        acknowledge that.
        """
        while isinstance(packet := self.expect(Data | Oack if again else Data), Oack):
            pass
        return packet

    def block(self, number):
        """DATA with that number; returns the payload. An earlier one may come
        once more: where this client is slow, the server asks by that whether
        the end of its burst was lost.
        """
        while True:
            packet = self.data(again=number == 1)
            if packet.block == number & 0xFFFF:
                self.latest = packet.block
                return packet.payload
            if packet.block != self.latest and not behind(packet, number):
                raise Unexpected(f"wanted block {number}, got {packet}")

    def skip_to(self, number):
        """DATA with that number, whatever is sent again before; returns the
        payload.
        """
        while (packet := self.expect(Data)).block != number & 0xFFFF:
            pass
        self.latest = packet.block
        return packet.payload

    def blocks(self, first, last):
        """DATA with these numbers in order; returns the payload."""
        return b"".join(self.block(number) for number in range(first, last + 1))

    def during(self, seconds):
        """All that comes within that time: pairs of when and what."""
        end = time.monotonic() + seconds
        packets = []
        while (packet := self.poll(end - time.monotonic())) is not None:
            packets.append((self.at, tftp_packet.parse(packet)))
        return packets


class Transfer:
    """The usual course of a transfer: every block in order, every window
    acknowledged once. Earlier ones may come once more, see Client.block; anything
    else is a failure, but gaps are told where the transfer is `lossy`.
    """

    def __init__(self, client, name, *options, mode="octet", rollover=0):
        self.client = client
        self.rollover = rollover
        self.blksize = 512
        self.window = 1
        self.payloads = []
        self.blocks = 0  # that have come, counted without rolling over
        self.acked = 0
        self.done = False
        self.oack = None
        self.lossy = False  # blocks may be missing
        self.gap = False  # that was told
        client.request(name, options, mode)
        while True:
            packet = client.receive()
            client.peer = client.sender
            if not isinstance(packet, Data):
                break
            if packet.block == 1:
                self.take(packet)
                return
            # It comes late of a transfer before.
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
        if not isinstance(packet, Data) or packet.length > self.blksize:
            raise Unexpected(f"wanted block {wanted}, got {packet}")
        if behind(packet, wanted):
            return
        if packet.block != wanted:
            if not self.lossy:
                raise Unexpected(f"wanted block {wanted}, got {packet}")
            if not self.gap:
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
            self.take(self.client.data(again=not self.blocks))
        return self

    def finish(self):
        while not self.done:
            self.take(self.client.data(again=not self.blocks))
        return b"".join(self.payloads)

    def hurry(self, upto=None):
        """The same, up to the end of some window or of the file, leaner: for
        many blocks. Takes several at once where they come as one train.
        """
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
                    packet = train[at : at + size]
                    if behind(tftp_packet.parse(packet), number):
                        continue
                    # A probe, sent while the window was on its way.
                    probe = self.wire(self.acked + self.window)
                    if packet[:4] == struct.pack("!HH", Op.DATA, probe):
                        continue
                    raise Unexpected(f"wanted block {number} ({blocks + 1}), got {shown(packet)}")
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
