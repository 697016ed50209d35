#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""The payload is not copied on its way to the driver: what is changed in a file after
its blocks were sent, and before they leave a queue, arrives changed. With copying
switched on it arrives as it was.
"""

import contextlib
import json
import os
import subprocess

from lib import (
    SRV, Client, Error, Growth, command, ctl, disk, equal, fence, fetch, load, make, netem, run,
    same, served, settings, start, test, tmpfs, wait_for,
)

DEVICE = "to-client"
BLKSIZE = 1428
BLOCKS = 16
OPTIONS = (("blksize", BLKSIZE), ("windowsize", BLOCKS))


@contextlib.contextmanager
def held(server, delay="100ms"):
    """Whatever the server sends waits, all in one queue: neighbours are known."""
    fence(server)
    with netem(f"delay {delay} limit 10000", "server", DEVICE):
        yield


def contents(size):
    """Old and new."""
    old = bytes(ord("a") + i % 13 for i in range(size))
    return {"old": old, "new": old.upper()}


def rewrite(name, data):
    """Change the bytes where they are: no new file, no new size."""
    with open(SRV / name, "r+b") as file:
        file.write(data)


def expect_copied(growth, zerocopy, size):
    """All that was sent was copied, or nothing of it."""
    growth.expect(
        transfers_completed=1, bytes_sent=size, bytes_copied=size * (zerocopy == "off"), blocks_retransmitted=0
    )


@test("the device takes scattered pages and checksums them", ())
def _():
    features = json.loads(command("ethtool", "--json", "-k", DEVICE, netns="server"))[0]
    for feature in ("tx-checksumming", "scatter-gather", "tx-udp-segmentation"):
        equal(feature, True, features[feature]["active"])


def one_block(server, fs, zerocopy, wanted):
    """By curl. Without options the first packet is the block."""
    content = contents(500)
    name = f"{fs}/one-block"
    make(name, content["old"])
    host = f"[{server}]" if ":" in server else server
    growth = Growth()
    words = ("curl", "-gsSf", "--tftp-no-options", f"tftp://{host}/{name}")
    with held(server):
        curl = start(*words, stdout=subprocess.PIPE)
        wait_for("the block was sent", lambda: growth["blocks_sent"])
        rewrite(name, content["new"])
        got, _ = curl.communicate()
    equal("status of curl", 0, curl.returncode)
    equal("received", content[wanted], got)
    expect_copied(growth, zerocopy, 500)


def a_window(server, fs, zerocopy, wanted, gso="on"):
    """By the packet. The blocks do not begin where pages do."""
    content = contents(BLKSIZE * BLOCKS - 100)
    name = f"{fs}/window"
    make(name, content["old"])
    growth = Growth()
    with held(server), Client(server) as client:
        client.open(name, *OPTIONS)
        client.ack(0)
        growth.expect(blocks_sent=BLOCKS)
        rewrite(name, content["new"])
        client.expect_silence(0)
        same(content[wanted], client.blocks(1, BLOCKS))
        client.ack(BLOCKS)
        expect_copied(growth, zerocopy, len(content["old"]))
    # veth hands on a train of any length.
    growth.expect(skbs_sent=1 if gso == zerocopy == "on" else BLOCKS)


# Copying is the control: it shows that the queue holds what it should.
MODES = (("on", "new"), ("off", "old"))
GETS = {"one block": one_block, "a window": a_window}
CASES = [(fs, what, *mode) for fs in ("ext4", "tmpfs") for what in GETS for mode in MODES]


@test("{1} of {0}, zerocopy {2}: the {3} bytes arrive", cases=CASES, timed=True)
def _(server, fs, what, zerocopy, wanted):
    with settings(zerocopy=zerocopy, detect_changes=False):
        GETS[what](server, fs, zerocopy, wanted)


@test("a window of ext4, gso off, zerocopy {0}: the {1} bytes arrive", ["IPv4"], MODES, timed=True)
def _(server, zerocopy, wanted):
    with settings(zerocopy=zerocopy, gso="off", detect_changes=False):
        a_window(server, "ext4", zerocopy, wanted, gso="off")


@test("a file of 1 MiB, zerocopy {0}: the counter of copied bytes", cases=["on", "off"])
def _(server, zerocopy):
    content = make("ext4/large", os.urandom(1 << 20))
    growth = Growth()
    with settings(zerocopy=zerocopy), Client(server) as client:
        same(content, fetch(client, "ext4/large", *OPTIONS))
        expect_copied(growth, zerocopy, len(content))


@test("blocks that wait outlive the module", timed=True)
def _(server):
    content = make("ext4/window", contents(BLKSIZE * BLOCKS - 100)["old"])
    growth = Growth()
    # To unload takes several grace periods of RCU.
    with held(server, "500ms"), Client(server) as client:
        client.open("ext4/window", *OPTIONS)
        client.ack(0)
        growth.expect(blocks_sent=BLOCKS)
        command("rmmod", "tftpk")
        try:
            client.expect_silence(0)
            same(content, client.blocks(1, BLOCKS))
            client.expect(Error)
            client.peer = None
        finally:
            load()
            ctl("set", "source-burst", "0")
            ctl("export", SRV)


run(disk("ext4", 32), tmpfs(SRV / "tmpfs"), served())
