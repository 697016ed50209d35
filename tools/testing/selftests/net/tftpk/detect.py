# SPDX-License-Identifier: GPL-2.0
"""What becomes of a transfer whose file changes."""

import contextlib
import os
import time

from testbed import SRV, Growth, equal, output, run, settings, test
from tftp_packet import Client, Code, Data, Error, Oack

FILESYSTEMS = ["tmpfs", "ext4", "overlay"]
BLKSIZE = 512
WINDOW = 4
# Many times what is read ahead.
SIZE = 1_000_000


def make(fs, content=None):
    """A new file in that file system. Returns its name, path and content."""
    content = os.urandom(SIZE) if content is None else content
    path = SRV / fs / f"file-{time.monotonic_ns()}"
    path.write_bytes(content)
    # A change within the same tick of the clock is not noticed.
    os.utime(path, (0, 0))
    return f"{fs}/{path.name}", path, content


@contextlib.contextmanager
def begun(server, name):
    """A client that has received a window and keeps still. Yields it and what
    it has received.
    """
    with Client(server) as client:
        client.request(name, {"blksize": BLKSIZE, "windowsize": WINDOW})
        client.wait_for(Oack)
        client.ack(0)
        yield client, b"".join(client.window(1, WINDOW, BLKSIZE))


def go_on(client):
    """The rest, from behind the first window on."""
    client.ack(WINDOW)
    return client.resume(WINDOW + 1, WINDOW, BLKSIZE)


# ---- changes that matter ----


def overwrite(path):
    with open(path, "r+b") as file:
        file.write(os.urandom(SIZE))


def overwrite_end(path):
    with open(path, "r+b") as file:
        file.seek(-1, os.SEEK_END)
        file.write(b"x")


def empty(path):
    os.truncate(path, 0)


def shorten(path):
    os.truncate(path, SIZE - 1)


def lengthen(path):
    with open(path, "ab") as file:
        file.write(b"x")


def rebuild(path):
    path.write_bytes(os.urandom(SIZE))


def fetch_ends(server, fs, change, silent):
    name, path, content = make(fs)
    growth = Growth()
    with begun(server, name) as (client, received):
        equal("begin of the file", True, content.startswith(received))
        change(path)
        if not silent:
            client.ack(WINDOW)
        error = client.wait_for(Error)
        equal("error", (Code.UNDEFINED, "file changed"), (error.code, error.text))
        growth.expect(transfers_failed=1, transfers_completed=0, transfers_active=0)
    path.unlink()


@test(
    "{1} in {0} ends the transfer",
    families=["IPv4"],
    cases=[
        (fs, change.__name__, change)
        for fs in FILESYSTEMS
        for change in (overwrite, overwrite_end, empty, shorten, lengthen, rebuild)
    ],
)
def changed(server, fs, _, change):
    fetch_ends(server, fs, change, silent=False)


@test("a silent client is told as well")
def silent_client(server):
    fetch_ends(server, "ext4", overwrite, silent=True)


@test("nothing of the new content is sent, not even to probe", families=["IPv4"])
def probe(server):
    old, new = b"o" * (BLKSIZE * WINDOW - 1), b"n" * (BLKSIZE * WINDOW - 1)
    name, path, _ = make("tmpfs", old)
    delay = ("netem", "delay", "300ms")
    output("tc", "-n", "client", "qdisc", "add", "dev", "to-server", "root", *delay)
    try:
        growth = Growth()
        # The server measures the delay, and waits twice as long at least
        # until it sends anything again.
        with begun(server, name) as (client, received):
            with open(path, "r+b") as file:
                file.write(new)
            equal("received", True, old == received)
            while not isinstance(packet := client.receive(), Error):
                told = isinstance(packet, Data) and b"n" in packet.payload
                equal(f"{packet} holds new content", False, told)
        growth.expect(transfers_failed=1, transfers_completed=0)
    finally:
        output("tc", "-n", "client", "qdisc", "del", "dev", "to-server", "root")


# ---- changes that do not ----


def replace(path):
    new = path.with_suffix(".new")
    new.write_bytes(os.urandom(SIZE))
    new.rename(path)


def rename(path):
    path.rename(path.with_suffix(".old"))


def remove(path):
    path.unlink()


def link(path):
    path.with_suffix(".link").hardlink_to(path)


def lock_up(path):
    path.chmod(0)


def read(path):
    path.read_bytes()


def nothing(_):
    pass


@test(
    "{1} in {0} does not disturb",
    families=["IPv4"],
    cases=[
        (fs, change.__name__, change)
        for fs in FILESYSTEMS
        for change in (replace, rename, remove, link, lock_up, read, nothing)
    ],
)
def undisturbed(server, fs, _, change):
    name, path, content = make(fs)
    growth = Growth()
    with begun(server, name) as (client, received):
        change(path)
        equal("all of the file", True, received + go_on(client) == content)
        growth.expect(transfers_completed=1, transfers_failed=0)
        if change is replace:
            now = client.fetch(name, {"blksize": 1428, "windowsize": 16})
            equal("the new file", True, now == path.read_bytes())


# ---- the rest ----


@test("with detect-changes off an overwritten file arrives as it is")
def undetected(server):
    name, path, content = make("tmpfs")
    with settings(detect_changes=False), begun(server, name) as (client, received):
        overwrite(path)
        rest = go_on(client)
        new = path.read_bytes()
        equal("begin", True, received == content[: len(received)])
        equal("rest", True, rest == new[len(received) :])


@test(
    "with detect-changes off a shortened {0} file does not hang",
    families=["IPv4"],
    cases=FILESYSTEMS,
)
def undetected_end(server, fs):
    name, path, _ = make(fs)
    growth = Growth()
    with settings(detect_changes=False), begun(server, name) as (client, _):
        os.truncate(path, 100_000)
        client.ack(WINDOW)
        block = WINDOW + 1
        while True:
            packet = client.receive()
            if isinstance(packet, Error):
                break
            if packet.block >= block:
                block = packet.block + 1
                client.ack(packet.block)
        growth.expect(transfers_failed=1, transfers_active=0)


@test("a lower file of an overlay that is copied up: all old, or an ERROR", families=["IPv4"])
def copied_up(server):
    path = SRV / "overlay/lower"
    content = path.read_bytes()
    with begun(server, "overlay/lower") as (client, received):
        overwrite(path)
        equal("the file is another one now", False, path.read_bytes() == content)
        client.ack(WINDOW)
        block = WINDOW + 1
        while True:
            packet = client.receive()
            if isinstance(packet, Error):
                equal("error", (Code.UNDEFINED, "file changed"), (packet.code, packet.text))
                break
            if packet.block != block & 0xFFFF:
                continue
            received += packet.payload
            equal(f"block {block} is old", True, content.startswith(received))
            if packet.length < BLKSIZE:
                break
            if block % WINDOW == 0:
                client.ack(block)
            block += 1


if __name__ == "__main__":
    run()
