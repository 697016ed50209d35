#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""Ten thousand transfers at once, boot storms, and a flood of forged requests while
real clients come and go: all complete, and what a transfer takes is told.
"""

import contextlib
import json
import os
import signal

from lib import SRV, WORK, Growth, command, curl, equal, note, request, run, same
from lib import CLIENTS, served, settings, test, tftpload, traffic, trusting, wait_for
from lib.forge import WIDE, Forger, away, crowded, lan
from lib.host import HERE, family

WINDOW = ("--blksize", 1024, "--windowsize", 8)
for name, size in (("small", 3000), ("file", 100_000)):
    command(HERE / "tftpload", "--make", size, SRV / name)


def load(server, name, clients, *options, **more):
    """So many clients at once, all of whom complete."""
    figures = tftpload(server, name, "--data", SRV / name, "--clients", clients, *options, **more)
    equal("transfers that failed", 0, figures["failed"])
    note(f"done after {figures['done']:.2f} s, {figures['timeouts']} timeouts of clients")


@test("10,000 transfers at once", families=("IPv4",))
def _(server):
    number = 10_000
    growth = Growth()
    # What is to be seen while all transfers are there.
    look = f"tftpkctl -n server -j stats >{WORK}/stats && cp /proc/slabinfo {WORK}/slabinfo"
    # The last of them begin long after the first.
    with settings(give_up=600), trusting(CLIENTS["IPv4"]):
        load(server, "small", number, "--starting", 500, "--lossy", "--patience", 5, "--hold", look)
        growth.expect(transfers_active=0, transfers_completed=number, transfers_failed=0, transfers_evicted=0)
    there = json.loads((WORK / "stats").read_text(encoding="ascii"))["transfers_active"]
    equal("transfers at one time", number, there)
    (slab,) = [
        line.split()
        for line in (WORK / "slabinfo").read_text(encoding="ascii").splitlines()
        if line.startswith("tftpk_transfer ")
    ]
    size, taken = int(slab[3]), int(slab[14]) * int(slab[5]) * 4096
    assert taken >= number * size, f"{taken} bytes in the slab cache"
    note(f"a transfer: an object of {size} bytes, {taken // number} bytes with the cache's slack")
    note(f"blocks sent: {growth['blocks_sent']}, again: {growth['blocks_retransmitted']}")


NOBODY_REFUSED = dict.fromkeys(
    ("requests_limited", "requests_dropped", "transfers_evicted", "transfers_failed", "transfers_active"), 0
)


@test("500 clients of one LAN at once: nobody is refused")
def _(server):
    growth = Growth()
    with settings(source_burst=64):
        load(server, "small", 500, "--starting", 500, "--bind", lan(server, 0), "--spread", 500, *WINDOW)
    growth.expect(transfers_completed=500, **NOBODY_REFUSED)


@test("64 clients of one NAT that is trusted, at once: nobody is refused")
def _(server):
    growth = Growth()
    with settings(source_burst=64), trusting(WIDE[family(server)]):
        load(server, "small", 64, "--bind", away(server, 0), *WINDOW, netns="attacker")
    growth.expect(transfers_completed=64, **NOBODY_REFUSED)


@contextlib.contextmanager
def flood(server, sources):
    """Forged requests as fast as they can be sent, from so many sources by turns."""
    forger = Forger(server)
    packet = request("file", {"blksize": 1400, "windowsize": 64})
    packets = [
        forger.packet(away(server, 2000 + number % sources), 2000 + number, 69, packet)
        for number in range(2000)
    ]
    parent = os.getpid()
    child = os.fork()
    if not child:
        while os.getppid() == parent:
            for each in packets:
                with contextlib.suppress(OSError):  # the queue is full
                    forger.socket.send(each)
        os._exit(0)
    try:
        yield
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


@test(
    "forged requests by the thousand keep no client away, {0} sources: {1}",
    cases=[(2000, "transfers_evicted"), (50, "requests_limited")],
)
def _(server, sources, counter):
    with settings(source_burst=64):
        growth, before = Growth(), traffic("server", "to-router")
        with flood(server, sources):
            wait_for("the flood", lambda: growth[counter] > 1000)
            meanwhile = growth[counter]
            load(
                *(server, "file", 100, "--transfers", 200, "--lossy", "--patience", 1, *WINDOW),
                *("--bind", lan(server, 0), "--spread", 100),
            )
            meanwhile = growth[counter] - meanwhile
        note(f"{counter} meanwhile: {meanwhile}, of {growth['requests']} requests in all")
        assert meanwhile > 1000, "there was no flood"
        sent = traffic("server", "to-router")["tx_packets"] - before["tx_packets"]
        assert sent <= 3 * growth["requests"], f"{sent} packets for {growth['requests']} requests"
        same((SRV / "file").read_bytes(), curl(server, "file"))


run(served(), crowded())
