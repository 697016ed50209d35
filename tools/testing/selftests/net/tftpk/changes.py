#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""A file that changes while it is sent: what ends the transfer by an ERROR, and
what must not disturb it. On each file system that changes.sh has mounted below
the export.
"""

import os
import pathlib
import sys

from lab import Growth, content, run, same, settings, test
from testbed import SRV, equal, wait_for
from tftp_packet import Code, Data, Error
from wire import Client, Transfer, fetch

FILE = content(400_000)
NEW = content(400_000, 2)
OPTIONS = (("blksize", 1024), ("windowsize", 4))
SYSTEMS = sorted(path.name for path in SRV.iterdir())


def ticked(path):
    """Has the file system's clock moved on since the file was written?"""
    probe = path.with_name("probe")
    probe.touch()
    return probe.stat().st_mtime_ns > path.stat().st_mtime_ns


def fresh(system):
    """The file as it is to be sent, not written to just now. That of the
    overlay comes from its lower layer for as long as nobody writes to it.
    """
    path = SRV / system / "file"
    if system == "overlay":
        # A name of its own for each test: what was copied up stays up.
        path = path.with_name(f"lower-{fresh.used}")
        fresh.used += 1
    else:
        new = path.with_name("new")
        new.write_bytes(FILE)
        new.rename(path)
    wait_for("the clock's tick", lambda: ticked(path))
    return path


fresh.used = 0


def begin(server, path):
    """A transfer of that file, well before its end."""
    client = Client(server)
    transfer = Transfer(client, str(path.relative_to(SRV)), *OPTIONS)
    return client, transfer.step(16)


def truncate(path):
    os.truncate(path, 100_000)


def empty(path):
    os.truncate(path, 0)


def append(path):
    with open(path, "ab") as file:
        file.write(b"more")


def rewrite(path):
    """As `cp` does with a file that is there, but for the truncation."""
    with open(path, "r+b") as file:
        file.write(NEW)


def one_byte(path):
    with open(path, "r+b") as file:
        file.seek(200_000)
        file.write(b"!")


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
    path.chmod(0o444)


def read(path):
    os.utime(path, ns=(1, path.stat().st_mtime_ns))
    path.read_bytes()


CHANGES = (truncate, empty, append, rewrite, one_byte)
HARMLESS = (replace, remove, move, link, mode, read)


@test(
    "{0}: {1.__name__} ends the transfer",
    ["IPv4"],
    [(system, change) for system in SYSTEMS for change in CHANGES],
)
def _(server, system, change):
    path = fresh(system)
    growth = Growth()
    client, transfer = begin(server, path)
    with client:
        change(path)
        while isinstance(packet := client.receive(), Data):
            transfer.take(packet)
        equal("the end", Error(Code.UNDEFINED, "file changed"), packet)
        # What was acknowledged before is what the file held. What was on its
        # way is not copied, so it changes with the file.
        same(FILE[:16384], b"".join(transfer.payloads[:16]))
        client.peer = None
    growth.expect(transfers_failed=1, transfers_active=0)
    # Who asks now gets the file as it is.
    with Client(server) as client:
        same(path.read_bytes(), fetch(client, str(path.relative_to(SRV)), *OPTIONS))


@test(
    "{0}: {1.__name__} does not disturb",
    ["IPv4"],
    [(system, change) for system in SYSTEMS for change in HARMLESS],
)
def _(server, system, change):
    path = fresh(system)
    growth = Growth()
    client, transfer = begin(server, path)
    with client:
        change(path)
        same(FILE, transfer.finish())
    growth.expect(transfers_completed=1, transfers_failed=0, transfers_active=0)


@test("overlay: a file that was copied up during its transfer is written to", ["IPv4"])
def _(server):
    path = fresh("overlay")
    client, transfer = begin(server, path)
    with client:
        for change in (mode, move):  # of which the first one copies it up
            change(path)
            transfer.step(100)
        rewrite(path)
        while isinstance(packet := client.receive(), Data):
            transfer.take(packet)
        equal("the end", Error(Code.UNDEFINED, "file changed"), packet)
        same(FILE[: 216 * 1024], b"".join(transfer.payloads[:216]))
        client.peer = None


@test("{0}, detect-changes off: a rewrite ends nothing", ["IPv4"], SYSTEMS)
def _(server, system):
    path = fresh(system)
    with settings(detect_changes=False):
        growth = Growth()
        client, transfer = begin(server, path)
        with client:
            rewrite(path)
            got = transfer.finish()
            equal("length", len(FILE), len(got))
            # What it is made of is not promised, only that it is made of these.
            for at in range(0, len(got), 1024):
                assert got[at : at + 1024] in (FILE[at : at + 1024], NEW[at : at + 1024]), at
        growth.expect(transfers_completed=1, transfers_failed=0, transfers_active=0)


@test("between OACK and first block: a change ends the transfer")
def _(server):
    path = fresh("tmpfs")
    with Client(server) as client:
        client.open("tmpfs/file", *OPTIONS)
        rewrite(path)
        client.ack(0)
        client.expect(Error, code=Code.UNDEFINED)
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


if __name__ == "__main__":
    if sys.argv[1:2] == ["--make"]:
        for number in range(20):
            pathlib.Path(sys.argv[2], f"lower-{number}").write_bytes(FILE)
        sys.exit()
    with settings(source_burst=0):
        run()
