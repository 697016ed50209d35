# SPDX-License-Identifier: GPL-2.0
"""Proof of zero copy, and of its opposite where that is asked for."""

import json
import os
import subprocess
import time

from testbed import (
    LOAD,
    SRV,
    Growth,
    ctl,
    equal,
    idle,
    in_server,
    note,
    output,
    run,
    settings,
    test,
    wait_for,
)
from tftp_packet import Client, Data, Oack

DEVICE = "to-client"
# zerocopy, and which bytes arrive then
MODES = [("on", "new"), ("off", "old")]


class TooLate(Exception):
    """What was to be held has left the queue already."""


class Queue:
    """Whatever the server sends waits for some seconds."""

    TC = ("tc", "-n", "server", "qdisc")

    def __init__(self, seconds):
        self.seconds = seconds

    def __enter__(self):
        delay = ("netem", "delay", f"{self.seconds * 1000:.0f}ms", "limit", "10000")
        output(*self.TC, "add", "dev", DEVICE, "root", *delay)
        return self

    def __exit__(self, *_):
        output(*self.TC, "del", "dev", DEVICE, "root")

    def check(self):
        """Nothing has left it so far."""
        text = output(*self.TC[:3], "-j", "-s", "qdisc", "show", "dev", DEVICE, "root")
        queue = json.loads(text)[0]
        if queue["packets"]:
            raise TooLate
        equal("something waits", True, queue["qlen"] > 0)


def held(attempt):
    """Run attempt(queue), with a longer queue where this VM was too slow."""
    for seconds in (0.5, 3, 15):
        try:
            with Queue(seconds) as queue:
                return attempt(queue)
        except TooLate:
            note(f"{seconds} s were too short")
            idle()
    raise AssertionError("never fast enough")


def make(fs, content):
    """A new file in that file system. Returns its name and its path."""
    path = SRV / fs / f"file-{time.monotonic_ns()}"
    path.write_bytes(content)
    return f"{fs}/{path.name}", path


def rewrite(path, content):
    """Change the bytes where they are: no new file, no new size."""
    fd = os.open(path, os.O_WRONLY)
    try:
        equal("bytes written", len(content), os.pwrite(fd, content, 0))
    finally:
        os.close(fd)


def contents(size):
    old = bytes(ord("a") + i % 13 for i in range(size))
    return {"old": old, "new": old.upper()}


@test("the device takes scattered pages and checksums them")
def offloads(_):
    features = json.loads(in_server("ethtool", "--json", "-k", DEVICE))[0]
    for feature in ("tx-checksumming", "scatter-gather", "tx-udp-segmentation"):
        equal(feature, True, features[feature]["active"])


def curl_gets(server, fs, zerocopy, wanted):
    """One block, by curl."""
    host = f"[{server}]" if ":" in server else server

    def attempt(queue):
        content = contents(500)
        name, path = make(fs, content["old"])
        copy = path.parent / "received"
        growth = Growth()
        # Without options the first packet is the block.
        command = ["curl", "-gsSf", "--tftp-no-options", "-o", copy, f"tftp://{host}/{name}"]
        with subprocess.Popen(command) as curl:
            wait_for("the block was sent", lambda: growth["blocks_sent"])
            rewrite(path, content["new"])
            queue.check()
            equal("status of curl", 0, curl.wait())
        equal("received", content[wanted], copy.read_bytes())
        growth.expect(transfers_completed=1)
        copied(growth, zerocopy, 500)

    with settings(zerocopy=zerocopy == "on", detect_changes=False):
        held(attempt)


def window_gets(server, fs, zerocopy, wanted, gso="on"):
    """A window of blocks, by the packet."""
    blksize, blocks = 1428, 16
    # The blocks do not begin where pages do.
    content = contents(blksize * blocks - 100)

    def attempt(queue):
        name, path = make(fs, content["old"])
        growth = Growth()
        with Client(server) as client:
            client.request(name, {"blksize": blksize, "windowsize": blocks})
            client.wait_for(Oack)
            client.ack(0)
            # What is sent again meanwhile waits behind it.
            wait_for("the window was sent", lambda: growth["blocks_sent"] >= blocks)
            rewrite(path, content["new"])
            if any(isinstance(packet, Data) for packet in client.arrived()):
                raise TooLate
            received = b"".join(client.window(1, blocks, blksize))
            client.ack(blocks)
            growth.expect(transfers_completed=1)
        equal("received", content[wanted], received)
        copied(growth, zerocopy, len(received))
        now = growth.of("blocks_sent", "skbs_sent")
        trains = now["skbs_sent"] < now["blocks_sent"]
        equal("blocks travel in trains", gso == "on" and zerocopy == "on", trains)

    with settings(zerocopy=zerocopy == "on", gso=gso == "on", detect_changes=False):
        held(attempt)


def copied(growth, zerocopy, size):
    """All that was sent was copied, or nothing of it."""
    now = growth.of("bytes_sent", "bytes_copied", "blocks_retransmitted")
    equal("enough was sent", True, now["bytes_sent"] >= size)
    if not now["blocks_retransmitted"]:
        equal("bytes sent", size, now["bytes_sent"])
    equal("bytes copied", 0 if zerocopy == "on" else now["bytes_sent"], now["bytes_copied"])


# Copying is the control: it shows that the queue holds what it should.
NAME = "{1} of {0}, zerocopy {2}: the {3} bytes arrive"
GETS = {"one block": curl_gets, "a window": window_gets}


CASES = [(fs, what, *mode) for fs in ("ext4", "tmpfs") for what in GETS for mode in MODES]


@test(NAME, families=["IPv4"], cases=CASES)
@test(NAME, families=["IPv6"], cases=CASES[:4])
def proof(server, fs, what, zerocopy, wanted):
    GETS[what](server, fs, zerocopy, wanted)


@test(
    "a window of ext4, gso off, zerocopy {0}: the {1} bytes arrive",
    families=["IPv4"],
    cases=MODES,
)
def single_packets(server, zerocopy, wanted):
    window_gets(server, "ext4", zerocopy, wanted, gso="off")


@test("a file of 1 MiB, zerocopy {0}: the counter of copied bytes", cases=["on", "off"])
def whole_file(server, zerocopy):
    content = os.urandom(1 << 20)
    name, _ = make("ext4", content)
    with settings(zerocopy=zerocopy == "on"):
        growth = Growth()
        with Client(server) as client:
            received = client.fetch(name, {"blksize": 1428, "windowsize": 16})
        equal("received", True, content == received)
        growth.expect(transfers_completed=1)
        copied(growth, zerocopy, len(content))


@test("blocks that wait outlive the module")
def unloaded(server):
    blksize, blocks = 1428, 16
    content = contents(blksize * blocks - 1)["old"]

    def attempt(_):
        name, _ = make("ext4", content)
        growth = Growth()
        with Client(server) as client:
            client.request(name, {"blksize": blksize, "windowsize": blocks})
            client.wait_for(Oack)
            client.ack(0)
            wait_for("the window was sent", lambda: growth["blocks_sent"] >= blocks)
            output("rmmod", "tftpk")
            try:
                if any(isinstance(packet, Data) for packet in client.arrived()):
                    raise TooLate
                received = b"".join(client.window(1, blocks, blksize))
            finally:
                output(*LOAD)
                ctl("export", str(SRV))
        equal("received", True, content == received)

    held(attempt)


if __name__ == "__main__":
    run()
