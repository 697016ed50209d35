#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""Files of each kind of file system arrive as they are, whether the page cache holds
them or not.
"""

import contextlib
import fcntl
import os
import pathlib
import signal

from lib import (
    SERVERS, SRV, WORK, Client, Code, Data, Error, Transfer, atftp, between, cached, command, curl,
    defer, disk, drop_caches, during, equal, execute, make, mounted, note, overlay, run, same,
    served, test, tmpfs,
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


# ---- leases, poison, measurements ----

LEASED = os.urandom(3000)


@test("a lease for writing is broken, and waited for", ())
def _():
    make("leased", LEASED)
    broken = []

    def give_back(*_):
        broken.append(True)
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_UNLCK)

    defer(signal.signal, signal.SIGIO, signal.signal(signal.SIGIO, give_back))
    descriptor = os.open(SRV / "leased", os.O_RDWR)
    defer(os.close, descriptor)
    fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_WRLCK)
    os.utime(SRV / "leased", (0, 0))
    same(LEASED, curl(SERVERS["IPv4"], "leased"))
    equal("leases that were broken", 1, len(broken))


POISONED = """
import ctypes, mmap, sys
libc = ctypes.CDLL(None, use_errno=True)
with open(sys.argv[1], "r+b") as file:
    memory = mmap.mmap(file.fileno(), 0)
    at = ctypes.addressof(ctypes.c_char.from_buffer(memory)) + int(sys.argv[2])
    if libc.madvise(ctypes.c_void_p(at), 4096, 100):
        sys.exit(3)
"""


HAS_POISON = os.path.exists("/proc/sys/vm/memory_failure_recovery")


@test("a page that is poisoned within a large folio is not sent", (), ((),) if HAS_POISON else ())
def _():
    during(tmpfs(SRV / "poisoned", "huge=always"))
    data = make("poisoned/file", os.urandom(2 << 20))
    client = during(Client(SERVERS["IPv4"]))
    # What is sent keeps the folio from being split.
    transfer = Transfer(client, "poisoned/file", ("blksize", 1024)).step(8)
    bad = 1 << 20
    status = execute("/usr/bin/python3", "-c", POISONED, SRV / "poisoned/file", bad).returncode
    assert status in (0, -signal.SIGBUS), status
    while isinstance(packet := client.receive(), Data):
        transfer.take(packet)
    equal("the end", Error(Code.UNDEFINED, "cannot read file"), packet)
    client.peer = None
    got = b"".join(transfer.payloads)
    same(data[: len(got)], got)
    between("bytes before it", 8 << 10, len(got), bad)


SECURITY = pathlib.Path("/sys/kernel/security")

if SECURITY.exists() and not os.path.ismount(SECURITY):
    command("mount", "-t", "securityfs", "securityfs", SECURITY)
HAS_IMA = (SECURITY / "ima/policy").exists()


@contextlib.contextmanager
def skipped():
    if not HAS_POISON:
        note("SKIP: poisoned pages: the kernel knows of none")
    if not HAS_IMA:
        note("SKIP: IMA: the kernel has none")
    yield


@test("IMA measures what is served", (), ((),) if HAS_IMA else ())
def _():
    path = SRV / "measured"
    make("measured", LEASED)
    os.chown(path, 4321, -1)
    rule = "measure func=FILE_CHECK mask=MAY_READ fowner=4321\n"
    (SECURITY / "ima/policy").write_text(rule, encoding="ascii")
    there = SECURITY / "ima/ascii_runtime_measurements"
    equal("measured before", False, str(path) in there.read_text(encoding="utf-8"))
    same(LEASED, curl(SERVERS["IPv4"], "measured"))
    equal("measured", True, str(path) in there.read_text(encoding="utf-8"))


run(systems(), skipped(), served())
