#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""Files of each kind of file system arrive as they are, whether the page cache holds
them or not.
"""

import contextlib
import os

from lib import (
    SERVERS, SRV, WORK, atftp, cached, command, curl, disk, drop_caches, during, equal, make,
    mounted, overlay, run, same, served, test, tmpfs,
)

ON_DISK = ("ext4", "ext4-1k", "xfs", "squashfs")
SYSTEMS = ("tmpfs", "huge", *ON_DISK, "overlay")
files = {}  # what each holds, by the file system and the name


def fill(system, large=1_200_001):
    """More than is read ahead, with an odd end; less than a page; a hole between
    data; nothing.
    """
    made = {
        "large": os.urandom(large),
        "small": os.urandom(1000),
        "sparse": os.urandom(5000) + bytes(295_000) + os.urandom(5000),
        "empty": b"",
    }
    files[system] = {name: make(f"{system}/{name}", data) for name, data in made.items()}
    with open(SRV / system / "sparse", "r+b") as file:
        file.truncate(5000)
        file.seek(300_000)
        file.write(made["sparse"][300_000:])


@contextlib.contextmanager
def systems():
    """All of them, mounted below the export."""
    with (
        tmpfs(SRV / "tmpfs"),
        tmpfs(SRV / "huge", "huge=always"),
        disk("ext4", 320),
        disk("ext4", 320, SRV / "ext4-1k", ("-b", "1024")),
        disk("xfs", 320),
    ):
        for system in ("tmpfs", "ext4", "ext4-1k", "xfs"):
            fill(system)
        fill("huge", 2 << 20)
        image = WORK / "squashfs.image"
        command("mksquashfs", SRV / "tmpfs", image, "-quiet", "-no-progress")
        with mounted(SRV / "squashfs", "-o", "loop", image), overlay(SRV / "overlay", SRV / "squashfs"):
            files["squashfs"] = files["tmpfs"]
            # From below, from above, and from below but copied up for a change.
            files["overlay"] = files["tmpfs"] | {
                "upper": make("overlay/upper", os.urandom(100_001)),
                "small": make("overlay/small", files["tmpfs"]["small"] + b"one more line\n"),
            }
            yield


def fetch_all(system, get, server, *words):
    for name, data in files[system].items():
        same(data, get(server, f"{system}/{name}", *words))


@test("{0}, cold", (), SYSTEMS)
def _(system):
    large = SRV / system / "large"
    drop_caches()
    if system in ON_DISK:
        equal("pages in the cache", 0, cached(large))
    fetch_all(system, atftp, SERVERS["IPv4"], "blksize 1428", "windowsize 16")
    if system in ON_DISK:
        equal("pages in the cache", -(-len(files[system]["large"]) // 4096), cached(large))


@test("{0}, warm", (), SYSTEMS)
def _(system):
    for name in files[system]:
        (SRV / system / name).read_bytes()
    fetch_all(system, atftp, SERVERS["IPv6"], "blksize 1428", "windowsize 64")
    fetch_all(system, curl, SERVERS["IPv4"], "--tftp-blksize", "1024")


@test("mounted after the export", ())
def _():
    during(tmpfs(SRV / "later"))
    data = make("later/file", os.urandom(10_000))
    same(data, curl(SERVERS["IPv4"], "later/file"))


run(systems(), served())
