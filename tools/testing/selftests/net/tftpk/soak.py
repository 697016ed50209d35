#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""Clients of all kinds, on a network that loses packets, while the server is
reconfigured: what they get is right, and at the end there are as many objects and
pages as there were at the beginning. Until each kind was done TFTPK_SOAK times; how
it goes is told every now and then.
"""

import concurrent.futures
import os
import pathlib

from lib import (
    SERVERS, WORK, Growth, atftp, cached, content, ctl, disk, drop_caches, during, equal, execute,
    exported, idle, module, netem, note, objects, run, same, test, tftpload, wait_for,
)

TIMES = int(os.environ.get("TFTPK_SOAK", "4"))
TOLD = 25
SMALL = content(1500).hex().encode()
IP4, IP6 = SERVERS.values()
OTHER = WORK / "other"
DISK = WORK / "disk"


# ---- clients ----


def load(server, *options):
    """Each block that comes is compared."""
    how = ("--data", DISK / "file", "--lossy", "--patience", 2, "--deadline", 300)
    tftpload(server, "file", *how, *options)


def by_curl(url, status=0):
    """Returns what it fetched."""
    done = execute("curl", "-gsSf", f"tftp://{url}")
    equal(f"status of curl: {done.stderr}", status, done.returncode)
    return done.stdout.encode()


def reconfigure():
    """What administrators do all day; none of it ends a transfer of the others."""
    ctl("export", OTHER, "--as", "other")
    ctl("listen", f"{IP4}:6969")
    same(SMALL, by_curl(f"{IP4}:6969/other/small"))
    ctl("trust", "198.51.100.0/24")
    for words in (
        "gso off",
        "gso on zerocopy off",
        "zerocopy on max-windowsize 32",
        "max-windowsize 64 max-pinned 64",
        "max-pinned 512",
    ):
        ctl("set", *words.split())
    ctl("untrust", "198.51.100.0/24")
    ctl("-j", "transfers")
    ctl("unlisten", f"{IP4}:6969")
    ctl("unexport", OTHER)


KINDS = {
    "windows": lambda: load(IP4, "--clients", 3, "--transfers", 6, "--blksize", 1400, "--windowsize", 16),
    "lockstep": lambda: load(IP6, "--clients", 2, "--blksize", 1024),
    "plain": lambda: load(IP4),
    "curl": lambda: same(SMALL, by_curl(f"{IP4}/sub/small")),
    # Without options: one lost ACK of an OACK, and it gives up.
    "atftp": lambda: same(SMALL, atftp(IP4, "sub/small")),
    "netascii": lambda: by_curl(f"{IP4}/sub/small;mode=netascii"),
    # It asks for the size and leaves: nobody answers the last ACK.
    "refused": lambda: by_curl(f"{IP4}/none", 68),
    "reconfigure": reconfigure,
}


def run_all(times):
    """Until each was done that often: those that are quicker go on meanwhile.
    Returns how often they were.
    """
    done = dict.fromkeys(KINDS, 0)
    failed = []

    def forever(name):
        while min(done.values()) < times and not failed:
            try:
                KINDS[name]()
            except Exception as error:
                failed.append(name)
                raise AssertionError(f"{name}, after {done[name]} times: {error}") from error
            done[name] += 1

    with concurrent.futures.ThreadPoolExecutor(len(KINDS)) as pool:
        list(pool.map(forever, KINDS))
    return done


# ---- what is left ----


def settled():
    """Pages that are neither free nor of processes or files, once all is over.
    Objects that are free, but kept back, go first: of all caches, since KASAN keeps
    back many.
    """
    idle()
    wait_for("all objects to go", lambda: not objects())
    drop_caches()
    equal("pages of the file", 0, cached(DISK / "file"))
    for cache in pathlib.Path("/sys/kernel/slab").glob("*/shrink"):
        cache.write_text("1", encoding="ascii")
    lines = pathlib.Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    kilobytes = {line.split(":")[0]: int(line.split()[1]) for line in lines}
    others = ("MemFree", "Cached", "Buffers", "AnonPages", "PageTables", "KernelStack")
    return (kilobytes["MemTotal"] - sum(kilobytes[name] for name in others)) // 4


@test(f"clients of all kinds, {TIMES} times each", ())
def _():
    # A disk: the pages of a tmpfs stay.
    during(disk("ext4", 32, DISK))
    for folder in (DISK / "sub", OTHER):
        folder.mkdir(mode=0o755)
        (folder / "small").write_bytes(SMALL)
    (DISK / "file").write_bytes(content(200_000))
    during(exported(DISK))
    for server in SERVERS.values():
        ctl("listen", server)
    during(netem("loss 1% delay 500us"))
    during(netem("loss 1% delay 500us", "server", "to-client"))

    # What is made once is made now.
    run_all(1)
    before = settled()
    note(f"{before} pages at the beginning")
    for left in range(TIMES, 0, -TOLD):
        growth = Growth()
        done = run_all(min(left, TOLD))
        after = settled()
        note(", ".join(f"{name} {times}" for name, times in done.items()))
        note(
            f"{growth['transfers_completed']} transfers, {growth['blocks_sent']} blocks,"
            f" {growth['blocks_retransmitted']} of them again; {after} pages"
        )
    equal("pages were lost", False, after > before + 1024)


run(module())
