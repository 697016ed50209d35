#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""Files of each kind of file system arrive as they are, whether the page cache holds
them or not.
"""

import contextlib
import os

from lib import (
    SERVERS,
    SRV,
    WORK,
    atftp,
    cached,
    command,
    curl,
    disk,
    drop_caches,
    during,
    equal,
    make,
    mounted,
    run,
    same,
    served,
    test,
)

ON_DISK = ("ext4", "ext4-1k", "xfs", "squashfs")
SYSTEMS = ("tmpfs", "huge", *ON_DISK, "overlay")
files = {}  # what each file holds, by its name below the export


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
    for name, data in made.items():
        files[f"{system}/{name}"] = make(f"{system}/{name}", data)
    with open(SRV / system / "sparse", "r+b") as file:
        file.truncate(5000)
        file.seek(300_000)
        file.write(made["sparse"][300_000:])


@contextlib.contextmanager
def systems():
    """All of them, mounted below the export."""
    with contextlib.ExitStack() as stack:

        def mount(folder, *words):
            stack.enter_context(mounted(folder, *words))

        mount(SRV / "tmpfs", "-t", "tmpfs", "-o", "mode=755", "tmpfs")
        fill("tmpfs")
        mount(SRV / "huge", "-t", "tmpfs", "-o", "mode=755,huge=always", "tmpfs")
        fill("huge", 2 << 20)
        for name, *options in (("ext4",), ("ext4-1k", "-b", "1024"), ("xfs",)):
            stack.enter_context(disk(name.partition("-")[0], 320, SRV / name, options))
            fill(name)
        image = WORK / "squashfs.image"
        command("mksquashfs", SRV / "tmpfs", image, "-quiet", "-no-progress")
        mount(SRV / "squashfs", "-o", "loop", image)
        # From below, from above, and from below but copied up for a change.
        above = WORK / "above"
        mount(above, "-t", "tmpfs", "-o", "mode=755", "tmpfs")
        (above / "files").mkdir(mode=0o755)
        (above / "work").mkdir()
        words = f"lowerdir={SRV}/squashfs,upperdir={above}/files,workdir={above}/work"
        mount(SRV / "overlay", "-t", "overlay", "-o", words, "overlay")
        for system in ("squashfs", "overlay"):
            for name in ("large", "small", "sparse", "empty"):
                files[f"{system}/{name}"] = files[f"tmpfs/{name}"]
        files["overlay/upper"] = make("overlay/upper", os.urandom(100_001))
        files["overlay/small"] = make("overlay/small", files["tmpfs/small"] + b"one more line\n")
        yield


def fetch_all(system, get, server, *words):
    for name, data in files.items():
        if name.startswith(f"{system}/"):
            same(data, get(server, name, *words))


@test("{0}, cold", (), SYSTEMS)
def _(system):
    large = SRV / system / "large"
    drop_caches()
    if system in ON_DISK:
        equal("pages in the cache", 0, cached(large))
    fetch_all(system, atftp, SERVERS["IPv4"], "blksize 1428", "windowsize 16")
    if system in ON_DISK:
        equal("pages in the cache", -(-len(files[f"{system}/large"]) // 4096), cached(large))


@test("{0}, warm", (), SYSTEMS)
def _(system):
    for name in files:
        (SRV / name).read_bytes()
    fetch_all(system, atftp, SERVERS["IPv6"], "blksize 1428", "windowsize 64")
    fetch_all(system, curl, SERVERS["IPv4"], "--tftp-blksize", "1024")


@test("mounted after the export", ())
def _():
    during(mounted(SRV / "later", "-t", "tmpfs", "-o", "mode=755", "tmpfs"))
    data = make("later/file", os.urandom(10_000))
    same(data, curl(SERVERS["IPv4"], "later/file"))


run(systems(), served())
