#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""Large folios that are split, dropped and made anew while the server takes their
pages: every byte that arrives is the file's, or that of a hole, and the kernel has
nothing to complain about.

Before 6.12 the kernel's own way to look at neighbouring folios,
filemap_get_folios_contig(), takes an entry within a large folio for a folio where
that one came between two steps.
"""

import array
import contextlib
import ctypes
import mmap
import os
import random
import signal
import sys

from lib import (
    SRV, Client, Error, Growth, Oack, defer, disk, during, equal, libc, note, run, served, settings,
    test, tmpfs,
)

ROUNDS = int(os.environ.get("TFTPK_FOLIOS", "60"))
READERS = 3
PAGE = mmap.PAGESIZE
SIZE = 4 << 20
BLKSIZE = 1428
WINDOW = 64
# Each word says where it belongs.
PATTERN = array.array("Q", range(0, SIZE, 8)).tobytes()
KEEP_SIZE, PUNCH_HOLE = 1, 2


# ---- readers ----


def check(at, payload):
    """It is of the file, or of a hole, or of what is just written into one."""
    wanted = PATTERN[at : at + len(payload)]
    if payload != wanted and any(got not in (0, byte) for got, byte in zip(payload, wanted)):
        raise AssertionError(f"the block at {at} is not of the file")


def read(server, name):
    """Fetch the file, or what there is of it; how many blocks came."""
    blocks = 0
    with Client(server) as client:
        client.request(name, (("blksize", BLKSIZE), ("windowsize", WINDOW)))
        while True:
            packet = client.receive()
            if isinstance(packet, Error):
                return blocks  # it is shorter now
            if isinstance(packet, Oack):
                client.ack(0)
            elif packet.block == blocks + 1:
                check(blocks * BLKSIZE, packet.payload)
                blocks += 1
                if packet.length < BLKSIZE or not blocks % WINDOW:
                    client.ack(blocks)
                if packet.length < BLKSIZE:
                    return blocks
            elif packet.block > blocks:
                client.ack(blocks)  # what two processors send may overtake


def reader(server, name, tell):
    """A process that fetches the file again and again, until it is told to end."""
    parent = os.getpid()
    if child := os.fork():
        defer(os.waitpid, child, 0)
        defer(os.kill, child, signal.SIGTERM)
        return
    try:
        signal.signal(signal.SIGTERM, lambda *_: sys.exit())
        while os.getppid() == parent:
            os.write(tell, b"%d\n" % read(server, name))
    except Exception as error:
        note(error)
        os.write(tell, b"-1\n")
    finally:
        os._exit(0)


# ---- the writer ----


class Writer:
    """Changes a file in all the ways that make its folios go and come."""

    def __init__(self, path, direct, seed):
        self.random = random.Random(seed)
        self.buffer = mmap.mmap(-1, SIZE)
        self.buffer.write(PATTERN)
        self.ways = [self.punch, self.truncate, self.reread]
        self.fd = self.open(path, os.O_RDWR)
        if direct:
            self.direct_fd = self.open(path, os.O_RDWR | os.O_DIRECT)
            self.ways.append(self.direct)

    @staticmethod
    def open(path, flags):
        fd = os.open(path, flags)
        defer(os.close, fd)
        return fd

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
    writer = Writer(path, name == "xfs", len(server))
    during(settings(detect_changes=False))
    get, tell = os.pipe()
    for end in get, tell:
        defer(os.close, end)
    os.set_blocking(get, False)
    growth = Growth()
    for _ in range(READERS):
        reader(server, f"{name}/file", tell)
    steps, blocks = 0, []
    # As many changes as that, and so many transfers beside them.
    while steps < ROUNDS or len(blocks) < ROUNDS // 4:
        writer.step()
        steps += 1
        with contextlib.suppress(BlockingIOError):
            blocks += map(int, os.read(get, 4096).split())
        assert -1 not in blocks, "what a reader says"
        assert steps < 1000 * ROUNDS, "nobody reads"
    note(f"{steps} changes, {len(blocks)} transfers, {sum(blocks)} blocks, {growth['refills']} refills")
    assert sum(blocks) > 100 * len(blocks), "they had too little of it"
    equal("bytes copied", 0, growth["bytes_copied"])


run(disk("xfs", 320), tmpfs(SRV / "huge", "huge=always"), served())
