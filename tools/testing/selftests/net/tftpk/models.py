#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""Blocks ahead of the ACKs of clients in lock step, which are models of real ones (see
tools/testing/clients): what they gain, and that it is as the simulation has it.
"""

import json
import os

from lib import SRV, Growth, between, command, during, equal, make, netem, note, run, served, settings, test
from lib.host import HERE

BLOCKS = 300
CELLS = ((20, 0), (20, 2), (1, 0.5))
# How many times as fast at least, far away and without loss. The worst clients lose at
# most a timeout.
GAIN = {"ipxe": 4, "grub": 2, "one-packet": 0, "expected-only": 0}
TIMEOUT = 1
BLKSIZE = {"ipxe": 1432, "grub": 1024}


def fetch(server, client, loss, seed):
    """The figures of a model that fetches the file."""
    words = ("--loss", loss / 100, "--seed", seed, client, server, client, SRV / client)
    got = json.loads(command(HERE / "tftpmodel", *words))
    equal("blocks", BLOCKS, got["blocks"])
    return got


def simulated(client, ahead, delay, loss, seed):
    """Seconds that it takes in the simulation."""
    words = ("--blocks", BLOCKS, "--ahead", ahead, "--trace", f"{delay},{loss / 100},{seed}", client)
    last = command(HERE / "tftpmatrix", *words).splitlines()[-1]
    return float(last.split()[0]) / 1000


@test("{0}, {1} ms, {2}% lost: blocks ahead", ["IPv4"], [(c, *cell) for c in GAIN for cell in CELLS], timed=True)
def _(server, client, delay, loss):
    make(client, os.urandom(BLOCKS * BLKSIZE.get(client, 512) - 7))
    for netns, device in (("client", "to-server"), ("server", "to-client")):
        during(netem(f"delay {delay * 500}us", netns, device))
    seconds = {}
    for ahead in (0, 15):
        with settings(send_ahead=ahead, send_ahead_to="all"):
            growth = Growth()
            runs = [fetch(server, client, loss, seed) for seed in range(3 if loss else 1)]
            expected = [simulated(client, ahead, delay, loss, seed) for seed in range(len(runs))]
            seconds[ahead] = sum(got["seconds"] for got in runs)
        note(
            f"{ahead} ahead: {', '.join('%.2f' % got['seconds'] for got in runs)} s,"
            f" simulated {', '.join('%.2f' % s for s in expected)} s,"
            f" {growth['blocks_retransmitted']} blocks again, {growth['timeouts']} timeouts"
        )
        # What a client with room for one packet loses is a matter of microseconds.
        if client != "one-packet" or not ahead:
            between("seconds, simulated", 0.9 * sum(expected), seconds[ahead], 1.1 * sum(expected) + 0.1)
    note(f"{seconds[0] / seconds[15]:.1f} times as fast")
    if delay == 20 and not loss:
        assert seconds[0] >= GAIN[client] * seconds[15], "it gains less"
    between("seconds with blocks ahead", 0, seconds[15], 1.05 * seconds[0] + TIMEOUT * len(runs))


run(served())
