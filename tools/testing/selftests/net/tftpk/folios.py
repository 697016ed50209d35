#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""Large folios that are split, dropped and made anew while the server takes
their pages: every byte that arrives is the file's, or that of a hole, and the
kernel has nothing to complain about.

Before 6.12 the kernel's own way to look at neighbouring folios,
filemap_get_folios_contig(), takes an entry within a large folio for a folio
where that one came between two steps.
"""

import contextlib
import ctypes
import mmap
import os
import random
import select
import signal
import struct

from testbed import SERVERS, SRV, Growth, equal, note, run, settings, test
from tftp_packet import Error, Oack, ack, parse, request

ROUNDS = int(os.environ.get("TFTPK_FOLIOS", "60"))
READERS = 3
PAGE = mmap.PAGESIZE
SIZE = 4 << 20
BLKSIZE = 1428
WINDOW = 64
# Each word says where it belongs.
PATTERN = b"".join(struct.pack("=Q", at) for at in range(0, SIZE, 8))
KEEP_SIZE, PUNCH_HOLE = 1, 2

libc = ctypes.CDLL(None, use_errno=True)


# ---- readers ----


def right(at, payload):
    """Is it of the file, or of a hole, or of what is just written into one?"""
    wanted = PATTERN[at : at + len(payload)]
    return payload == wanted or all(got in (0, byte) for got, byte in zip(payload, wanted))


def read_once(sock, server, name):
    """Fetch the file, or what there is of it; how many blocks came."""
    sock.sendto(request(name, (("blksize", BLKSIZE), ("windowsize", WINDOW))), (server, 69))
    peer, blocks = None, 0
    while True:
        if not select.select([sock], [], [], 3)[0]:
            if not blocks:
                return 0
            sock.sendto(ack(blocks), peer)
            continue
        packet, sender = sock.recvfrom(1 << 16)
        if peer not in (None, sender):
            continue
        if packet[:2] != b"\0\3":
            packet = parse(packet)
            if isinstance(packet, Error):
                # It is shorter now.
                return blocks
            assert isinstance(packet, Oack), packet
            peer = sender
            sock.sendto(ack(0), peer)
            continue
        if packet[2:4] != struct.pack("!H", blocks + 1):
            continue
        payload = packet[4:]
        assert right(blocks * BLKSIZE, payload), f"block {blocks + 1} is not of the file"
        blocks += 1
        last = len(payload) < BLKSIZE
        if last or blocks % WINDOW == 0:
            sock.sendto(ack(blocks), peer)
        if last:
            return blocks


def reader(server, name, tell):
    """A process that fetches the file again and again."""
    import socket

    try:
        while os.getppid() != 1:
            with socket.socket(socket.AF_INET6 if ":" in server else socket.AF_INET, socket.SOCK_DGRAM) as sock:
                sock.setsockopt(socket.SOL_SOCKET, 33, 1 << 22)
                os.write(tell, struct.pack("=I", read_once(sock, server, name)))
    except BaseException as error:
        os.write(tell, struct.pack("=I", 0xFFFFFFFF))
        print(f"# {error}", flush=True)
    finally:
        os._exit(0)


@contextlib.contextmanager
def readers(server, name):
    """Processes that fetch the file meanwhile; gives what they tell: how many
    blocks each transfer had.
    """
    get, tell = os.pipe()
    os.set_blocking(get, False)
    children = []
    for _ in range(READERS):
        child = os.fork()
        if not child:
            reader(server, name, tell)
        children.append(child)
    try:
        yield get
    finally:
        for child in children:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
        os.close(get)
        os.close(tell)


def told(get):
    with contextlib.suppress(BlockingIOError):
        while some := os.read(get, 4096):
            yield from (number for (number,) in struct.iter_unpack("=I", some))


# ---- the writer ----


class Writer:
    """Changes a file in all the ways that make its folios go and come."""

    def __init__(self, path, direct, seed):
        self.path = path
        self.random = random.Random(seed)
        self.fd = os.open(path, os.O_RDWR)
        self.buffer = mmap.mmap(-1, SIZE)
        self.buffer.write(PATTERN)
        self.ways = [self.punch, self.truncate, self.reread]
        self.direct_fd = None
        if direct:
            self.direct_fd = os.open(path, os.O_RDWR | os.O_DIRECT)
            self.ways.append(self.direct)

    def close(self):
        os.close(self.fd)
        if self.direct_fd is not None:
            os.close(self.direct_fd)

    def some(self):
        """Where some pages begin and end."""
        first = self.random.randrange(SIZE // PAGE)
        last = min(SIZE // PAGE, first + self.random.choice((1, 3, 16, 64, 512)))
        return first * PAGE, last * PAGE

    def fill(self, start, end):
        os.pwrite(self.fd, memoryview(self.buffer)[start:end], start)

    def punch(self):
        start, end = self.some()
        if libc.fallocate(self.fd, PUNCH_HOLE | KEEP_SIZE, ctypes.c_long(start), ctypes.c_long(end - start)):
            raise OSError(ctypes.get_errno(), "fallocate")
        self.fill(start, end)

    def truncate(self):
        start, _ = self.some()
        os.ftruncate(self.fd, start)
        self.fill(start, SIZE)

    def direct(self):
        """Drops what the cache holds there."""
        start, end = self.some()
        os.pwrite(self.direct_fd, memoryview(self.buffer)[start:end], start)

    def reread(self):
        """Readahead makes the large ones."""
        os.fsync(self.fd)
        start, end = self.some()
        os.posix_fadvise(self.fd, start, end - start, os.POSIX_FADV_DONTNEED)
        at = self.random.randrange(0, SIZE, PAGE)
        while at < SIZE and os.pread(self.fd, 1 << 16, at):
            at += 1 << 16

    def step(self):
        self.random.choice(self.ways)()


@test("{0}: truncated, punched, written and read anew", cases=["xfs", "huge"])
def _(server, name):
    path = SRV / name / "file"
    path.write_bytes(PATTERN)
    path.chmod(0o644)
    writer = Writer(path, name == "xfs", len(server))
    blocks = transfers = steps = 0
    growth = Growth()
    with settings(detect_changes=False), readers(server, f"{name}/file") as get:
        # As many changes as that, and so many transfers beside them.
        while steps < ROUNDS or transfers < ROUNDS // 4:
            writer.step()
            steps += 1
            for number in told(get):
                assert number != 0xFFFFFFFF, "wrong content"
                blocks += number
                transfers += 1
            assert steps < 1000 * ROUNDS, "nobody reads"
    writer.close()
    note(f"{steps} changes, {transfers} transfers, {blocks} blocks, {growth['refills']} refills")
    assert blocks > 100 * transfers, "they had too little of it"
    equal("bytes copied", 0, growth["bytes_copied"])


if __name__ == "__main__":
    with settings(source_burst=0):
        run()
