#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""Real clients fetch files of sizes at which something begins or ends; then one file of
more than 65,535 blocks, and a hundred clients at once.
"""

from lib import (
    PATIENCE, SERVERS, WORK, Growth, atftp, busybox, content, counters, curl, during, equal, hpa,
    make, netem, run, same, served, start, test, wait_for,
)

# Around a block, a page and a window; what is beyond the first fill of the
# ring; and multiples of both block sizes, which end with an empty block.
SIZES = (0, 1, 511, 512, 513, 1428, 8192, 22847, 22848, 22849, 91392, 100003)
FILES = {f"sizes/{size}": make(f"sizes/{size}", content(size, 1 + size)) for size in SIZES}
LONG = {"long": make("long", content(65_536 * 8 + 1))}
CROWD = make("crowd", content(40_000))


def every(files, fetch, server, *options):
    growth = Growth()
    for name, wanted in files.items():
        same(wanted, fetch(server, name, *options))
    growth.expect(
        transfers_started=len(files),
        transfers_completed=len(files),
        transfers_failed=0,
        transfers_aborted=0,
        requests_refused=0,
        blocks_retransmitted=0,
        bytes_copied=0,
    )


@test("{0}", ["IPv4"], [("curl, no options", curl, "--tftp-no-options")])
@test("{0}", ["IPv6"], [("curl, block size 1428", curl, "--tftp-blksize", 1428)])
@test(
    "{0}",
    cases=[
        ("curl", curl),
        ("tftp-hpa", hpa),
        ("atftp", atftp),
        ("atftp, window of 1", atftp, "windowsize 1"),
        ("atftp, block size 1428, window of 4", atftp, "blksize 1428", "windowsize 4"),
        ("atftp, block size 512, window of 16", atftp, "blksize 512", "windowsize 16"),
        ("atftp, block size 1428, window of 16", atftp, "blksize 1428", "windowsize 16"),
        ("atftp, block size 1428, window of 64", atftp, "blksize 1428", "windowsize 64"),
        ("busybox", busybox),
        ("busybox, block size 1428", busybox, "-b", 1428),
    ],
)
def _(server, _, fetch, *options):
    every(FILES, fetch, server, *options)


@test("65,537 blocks in lock step, curl", ["IPv4"])
def _(server):
    every(LONG, curl, server, "--tftp-blksize", 8)


@test("65,537 blocks in windows of 64, atftp", ["IPv6"])
def _(server):
    every(LONG, atftp, server, "blksize 8", "windowsize 64")


# Without options: a second OACK, after a second in which such a crowd leaves a
# client no time to answer the first, ends atftp.
@test("100 clients at once", [])
def _():
    # So slow that the first is not done when the last begins.
    during(netem("delay 100ms"))
    growth = Growth()
    running = []
    for i in range(100):
        server = SERVERS["IPv4" if i % 4 < 2 else "IPv6"]
        local = WORK / f"got.{i}"
        if i % 2:
            words = ("tftp", "-m", "binary", server, "-c", "get", "crowd", local)
        else:
            words = ("atftp", "-g", "-r", "crowd", "-l", local, server)
        running.append((local, start(*words)))
    wait_for("all at one time", lambda: counters()["transfers_active"] == 100)
    for local, process in running:
        equal("status", 0, process.wait(PATIENCE))
        same(CROWD, local.read_bytes())
    growth.expect(
        transfers_active=0,
        transfers_started=100,
        transfers_completed=100,
        transfers_failed=0,
        transfers_aborted=0,
        requests_refused=0,
        bytes_copied=0,
    )


run(served())
