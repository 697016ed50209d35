#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""A file that changes while it is sent: what ends the transfer by an ERROR, and what
must not disturb it, on each kind of file system.
"""

import os

from lib import (
    SRV, WORK, Client, Code, Data, Error, Growth, Transfer, between, content, disk, during, equal,
    fetch, overlay, run, same, served, settings, test, tmpfs,
)

SIZE = 400_000  # more than is read ahead
FILE = content(SIZE)
NEW = content(SIZE, 2)
BLKSIZE = 1024
OPTIONS = (("blksize", BLKSIZE), ("windowsize", 4))
CHANGED = Error(Code.UNDEFINED, "file changed")
LOWER = "overlay's lower layer"
SYSTEMS = ("tmpfs", "ext4", "xfs", "overlay", LOWER)
# A lower file for each test: what was written to is in the upper layer from then on.
layer = WORK / "lower"
layer.mkdir(mode=0o755)
for number in range(20):
    (layer / f"file-{number}").write_bytes(FILE)
names = iter(os.listdir(layer))


def fresh(system):
    """The file as it is to be sent."""
    if system == LOWER:
        return SRV / "overlay" / next(names)
    path = SRV / system / "file"
    path.unlink(missing_ok=True)
    path.write_bytes(FILE)
    # A change within the same tick of the clock is not noticed.
    os.utime(path, (0, 0))
    return path


def begin(server, path):
    """A client and its transfer, which stands still until block 20 is taken."""
    client = during(Client(server))
    return client, Transfer(client, str(path.relative_to(SRV)), *OPTIONS).step(19)


def take_rest(client, transfer):
    """What still comes until the server notices; returns the number of blocks."""
    while isinstance(packet := client.receive(), Data):
        transfer.take(packet)
    equal("the end", CHANGED, packet)
    client.peer = None
    return transfer.blocks


def same_blocks(wanted, transfer, first, last):
    same(wanted[(first - 1) * BLKSIZE : last * BLKSIZE], b"".join(transfer.payloads[first - 1 : last]))


# ---- changes that matter ----


def write(path, at, data):
    with open(path, "r+b") as file:
        file.seek(at, os.SEEK_SET if at >= 0 else os.SEEK_END)
        file.write(data)


def truncate(path):
    os.truncate(path, 100_000)


def shorten(path):
    os.truncate(path, SIZE - 1)


def empty(path):
    os.truncate(path, 0)


def append(path):
    with open(path, "ab") as file:
        file.write(b"x")


def rewrite(path):
    write(path, 0, NEW)


def rebuild(path):
    """As `cp` does with a file that is there."""
    path.write_bytes(NEW)


def one_byte(path):
    write(path, 200_000, b"!")


def last_byte(path):
    write(path, -1, b"!")


CHANGES = (truncate, shorten, empty, append, rewrite, rebuild, one_byte, last_byte)


@test(
    "{0}: {1.__name__} ends the transfer",
    ["IPv4"],
    [(system, change) for system in SYSTEMS for change in CHANGES],
)
def _(server, system, change):
    path = fresh(system)
    growth = Growth()
    client, transfer = begin(server, path)
    change(path)
    # Block 20 was on its way, with the page that it is of. A lower file is still as
    # it was, and sent as far as it was read ahead.
    last = take_rest(client, transfer)
    if system == LOWER:
        between("blocks", 21, last, 300)
        same_blocks(FILE, transfer, 1, last)
    else:
        equal("blocks", 20, last)
        same_blocks(FILE, transfer, 1, 19)
    growth.expect(transfers_failed=1, transfers_completed=0, transfers_active=0)
    # Who asks now gets the file as it is.
    same(path.read_bytes(), fetch(client, str(path.relative_to(SRV)), *OPTIONS))


@test("overlay: a file that was copied up during its transfer is written to", ["IPv4"])
def _(server):
    path = fresh(LOWER)
    client, transfer = begin(server, path)
    for change in (mode, move):  # of which the first one copies it up
        change(path)
        transfer.step(100)
    rewrite(path)
    equal("blocks", 220, take_rest(client, transfer))
    same_blocks(FILE, transfer, 1, 219)


@test("a silent client is told as well, {0} sent", cases=["some blocks", "all blocks"], timed=True)
def _(server, sent):
    path = fresh("ext4")
    growth = Growth()
    if sent == "some blocks":
        client, _ = begin(server, path)
        client.block(20)
    else:
        client = during(Client(server))
        path.write_bytes(FILE[:4095])
        client.open("ext4/file", *OPTIONS)
        client.ack(0)
        same(FILE[:4095], client.blocks(1, 4))
    rewrite(path)
    # Nothing is sent again, and nothing new.
    equal("the next packet", CHANGED, client.receive())
    client.peer = None
    growth.expect(transfers_failed=1, transfers_completed=0, transfers_active=0)


@test("between OACK and first block: a change ends the transfer")
def _(server):
    path = fresh("tmpfs")
    with Client(server) as client:
        client.open("tmpfs/file", *OPTIONS)
        rewrite(path)
        client.ack(0)
        equal("the answer", CHANGED, client.receive())
        client.peer = None


@test("after the last block: a change is none of the client's business")
def _(server):
    path = fresh("tmpfs")
    growth = Growth()
    with Client(server) as client:
        client.open("tmpfs/file", ("blksize", 1400), ("windowsize", 64))
        for first in range(1, 286, 64):
            client.ack(first - 1)
            client.blocks(first, min(first + 63, 286))
        rewrite(path)
        client.ack(286)
        growth.expect(transfers_completed=1, transfers_active=0)


WRITTEN = Error(Code.UNDEFINED, "file is being written")


@test(
    "{0}: a file that is being written is refused, one that is only open is not",
    ["IPv4"],
    SYSTEMS[:4],
)
def _(server, system):
    path = fresh(system)
    with Client(server) as client, open(path, "r+b") as file:
        # As a loop device keeps an image.
        same(FILE, fetch(client, f"{system}/file", *OPTIONS))
        # One write() of all of it would set this time at its beginning.
        os.utime(path)
        equal("the answer", WRITTEN, client.ask(f"{system}/file", *OPTIONS))
        with settings(detect_changes=False):
            same(FILE, fetch(client, f"{system}/file", *OPTIONS))
        file.close()
        same(FILE, fetch(client, f"{system}/file", *OPTIONS))


# ---- changes that do not ----


def replace(path):
    """As one should publish a file."""
    new = path.with_name("next")
    new.write_bytes(NEW)
    new.rename(path)


def remove(path):
    path.unlink()


def move(path):
    path.rename(path.with_name("moved"))
    path.with_name("moved").rename(path)


def link(path):
    os.link(path, path.with_name("link"))
    path.with_name("link").unlink()


def mode(path):
    path.chmod(0)


def read(path):
    os.utime(path, ns=(1, path.stat().st_mtime_ns))
    path.read_bytes()


def nothing(_):
    pass


HARMLESS = (replace, remove, move, link, mode, read, nothing)


@test(
    "{0}: {1.__name__} does not disturb",
    ["IPv4"],
    [(system, change) for system in SYSTEMS for change in HARMLESS],
)
def _(server, system, change):
    path = fresh(system)
    growth = Growth()
    client, transfer = begin(server, path)
    change(path)
    same(FILE, transfer.finish())
    growth.expect(transfers_completed=1, transfers_failed=0, transfers_active=0)
    if change is replace:
        same(NEW, fetch(client, str(path.relative_to(SRV)), *OPTIONS))


# ---- detect-changes off ----


@test("{0}, detect-changes off: a rewrite ends nothing", cases=SYSTEMS)
def _(server, system):
    path = fresh(system)
    growth = Growth()
    with settings(detect_changes=False):
        _, transfer = begin(server, path)
        rewrite(path)
        equal("length", SIZE, len(transfer.finish()))
    # Block 20 was on its way. Of a lower file what was read ahead is still old.
    blocks = [NEW[at : at + BLKSIZE] for at in range(0, SIZE, BLKSIZE)]
    first = next(n for n in range(21, 391) if transfer.payloads[n - 1] == blocks[n - 1])
    assert (first == 21) == (system != LOWER), first
    same_blocks(FILE, transfer, 1, 19)
    same_blocks(FILE, transfer, 21, first - 1)
    same_blocks(NEW, transfer, first, 391)
    growth.expect(transfers_completed=1, transfers_failed=0, transfers_active=0)


@test("{0}, detect-changes off: a shortened file does not hang", ["IPv4"], SYSTEMS[:4])
def _(server, system):
    path = fresh(system)
    growth = Growth()
    with settings(detect_changes=False):
        client, transfer = begin(server, path)
        truncate(path)
        # Until more is to be read ahead.
        last = take_rest(client, transfer)
        between("blocks", 21, last, 300)
        same_blocks(FILE, transfer, 1, min(last, 97))
        growth.expect(transfers_failed=1, transfers_active=0)


run(
    disk("ext4", 64),
    disk("xfs", 300),
    tmpfs(SRV / "tmpfs"),
    overlay(SRV / "overlay", layer),
    served(),
)
