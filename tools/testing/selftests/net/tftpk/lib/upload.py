# SPDX-License-Identifier: GPL-2.0
"""Uploads, one packet at a time: Upload takes the usual course, and its steps can be
taken apart. What netascii is.
"""

import contextlib
import socket
import time

from .host import VIRTUAL
from .tftp import Ack, Client, Error, Oack, Op, Unexpected, data, parse, request

UDP_SEGMENT = 103
# What the kernel takes at once.
TRAIN_BLOCKS, TRAIN_BYTES = 64, 65000


def netascii(octets):
    """RFC 764: what the network's virtual terminal makes of it."""
    return octets.replace(b"\r", b"\r\0").replace(b"\n", b"\r\n")


class Upload:
    """The usual course: every block once and in order, every window acknowledged by the
    number of its last block. Any other packet is a failure.

    content     as it is on the wire
    rollover    number of the block after 65535

    acked is the last block that was acknowledged; blocks are counted from 1 without
    rolling over.
    """

    def __init__(self, client, content, rollover=0):
        self.client = client
        self.content = content
        self.rollover = rollover
        self.blksize = 512
        self.window = 1
        self.acked = 0
        self.oack = None
        self.request = None
        self.timeouts = 0

    @property
    def last(self):
        """The final block."""
        return len(self.content) // self.blksize + 1

    @property
    def end(self):
        """The last block of the window."""
        return min(self.acked + self.window, self.last)

    def wire(self, block):
        """The number of a block in its packet."""
        if self.rollover and block > 65535:
            return (block - 1) % 65535 + 1
        return block & 0xFFFF

    def packet(self, block):
        return data(self.wire(block), self.content[(block - 1) * self.blksize : block * self.blksize])

    # -- the steps

    def ask(self, name, *options, mode="octet"):
        """Send the request."""
        self.request = request(name, options, mode, Op.WRQ)
        self.client.request(name, options, mode, Op.WRQ)
        return self

    def repeat(self):
        """Send the request again."""
        self.client.send(self.request, self.client.listener)

    def begin(self):
        """Take its answer."""
        self.take(self.client.expect((Ack, Oack)))
        return self

    def take(self, answer):
        if isinstance(answer, Oack):
            self.oack = dict(answer.options)
            self.blksize = int(self.oack.get("blksize", 512))
            self.window = int(self.oack.get("windowsize", 1))
        elif answer.block:
            raise Unexpected(f"wanted ACK 0, got {answer}")

    def send(self, first=None, last=None):
        """These blocks, one of them, or the window's, and nothing else."""
        if first is None:
            first, last = self.acked + 1, self.end
        for block in range(first, (first if last is None else last) + 1):
            self.client.send(self.packet(block))

    def confirm(self, block=None):
        """Take the ACK of this block, or of the window."""
        block = self.end if block is None else block
        self.client.expect(Ack, block=self.wire(block))
        self.acked = block

    def step(self, windows=1):
        for _ in range(windows):
            self.send()
            self.confirm()
        return self

    def finish(self):
        """All that is left. Afterwards the client does not disturb."""
        while self.acked < self.last:
            self.step()
        self.client.peer = None
        return self

    def rest(self, word=None):
        """The ACK of the last window may have come again during a pause, before the word."""
        again = Ack(self.wire(self.acked))
        packets = [packet for _, packet in self.client.arrived() if packet != again]
        if packets != ([word] if word else []):
            raise Unexpected(f"wanted {again}, then {word or 'nothing'}, got {packets}")
        return self

    # -- other ways to the end

    def hurry(self, upto=None):
        """As finish(), or to some window, leaner: what the kernel cuts up is sent at once."""
        upto = self.last if upto is None else upto
        sock = self.client.socket
        most = min(TRAIN_BLOCKS, TRAIN_BYTES // (self.blksize + 4))
        sock.settimeout(self.client.patience)
        sock.setsockopt(socket.IPPROTO_UDP, UDP_SEGMENT, self.blksize + 4)
        while self.acked < upto:
            end = self.end
            for first in range(self.acked + 1, end + 1, most):
                train = b"".join(map(self.packet, range(first, min(first + most, end + 1))))
                sock.sendto(train, self.client.peer)
            answer = parse(sock.recv(1 << 16))
            while not VIRTUAL and answer == Ack(self.wire(self.acked)):
                answer = parse(sock.recv(1 << 16))
            if answer != Ack(self.wire(end)):
                raise Unexpected(f"wanted ACK {self.wire(end)} ({end}), got {answer}")
            self.acked = end
        sock.setsockopt(socket.IPPROTO_UDP, UDP_SEGMENT, 0)
        return self

    def insist(self, patience=1.0, most=None):
        """All of it, the answer to the request first, by a network that is not to be relied
        upon: as RFC 7440 has it, what was not acknowledged goes out again at an ACK, and
        after that many seconds of silence, so often at most. An ACK that came before
        counts once.
        """
        while (packet := self.client.poll(patience)) is None:
            self.time_out(most)
            self.repeat()
        answer = parse(packet)
        if isinstance(answer, Error):
            raise Unexpected(f"wanted an answer to the request, got {answer}")
        self.take(answer)
        while self.acked < self.last:
            if not self.flight(patience, False):
                self.time_out(most)
        self.client.peer = None
        return self

    def time_out(self, most):
        self.timeouts += 1
        if self.timeouts == most:
            raise Unexpected("no answer")

    def flight(self, patience, again):
        """Send a window, and wait for what moves it. Returns whether that came."""
        end = self.end
        self.send()
        until = time.monotonic() + patience
        while (packet := self.client.poll(max(until - time.monotonic(), 0))) is not None:
            answer = parse(packet)
            if isinstance(answer, Oack):
                continue
            if not isinstance(answer, Ack):
                raise Unexpected(f"wanted an ACK, got {answer}")
            ahead = (answer.block - self.wire(self.acked)) & 0xFFFF
            if 0 < ahead <= end - self.acked:
                self.acked += ahead
                return True
            if not ahead and self.acked and not again:
                return self.flight(patience, True)
        return False


def put_anyway(server, name, content, *options, mode="octet", tries=2):
    """Is a client told that its file is stored, which asks so often when nothing comes?"""
    with Client(server) as client, contextlib.suppress(Unexpected):
        Upload(client, content).ask(name, *options, mode=mode).insist(0.3, tries)
        return True
    return False


def upload(client, name, content, *options, mode="octet", **more):
    """The usual way; returns the Upload."""
    return Upload(client, content, **more).ask(name, *options, mode=mode).begin().finish()
