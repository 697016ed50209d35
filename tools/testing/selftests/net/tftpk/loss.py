#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""Bad networks. Each lane is a way of its own from the server to a client, with
netem on the middle hop, both ways:

	server [lane0] ---- [to-server] router0 [to-client] ---- [to-router] client0

The server's end does not take segmented buffers, so that what is lost is a
packet and not a train of them. Without --full the cases are chosen so that
every pair of conditions occurs.
"""

import contextlib
import itertools
import os
import pathlib
import queue
import shutil
import statistics
import subprocess
import sys
import time

from lab import (
    WORK,
    Growth,
    command,
    counters,
    inside,
    ip,
    make,
    note,
    run,
    settings,
    sysctl,
    tc,
    test,
    traffic,
)
from testbed import SRV, equal, wait_for

LANES = 5
GET = str(pathlib.Path(__file__).with_name("tftp_get"))

LOSS = (0, 0.1, 1, 5)  # percent
DELAY = (0, 1, 20, 100)  # ms, there and back
DISORDER = ("in order", "reordered", "copied", "reordered and copied")
WINDOW = (1, 4, 16, 64)
PACKET = (("IPv4", 512), ("IPv6", 512), ("IPv4", 1428), ("IPv6", 1428))
# Blocks of a file: at most 100 windows, and time enough for something to happen.
BLOCKS = {1: 80, 4: 240, 16: 640, 64: 1600}

NETEM = {
    "in order": "",
    "reordered": "reorder 2%",
    "copied": "duplicate 2%",
    "reordered and copied": "reorder 2% duplicate 2%",
}


def times(a, b):
    """Multiplication in the field of four elements."""
    product = (a if b & 1 else 0) ^ (a << 1 if b & 2 else 0)
    return product ^ 7 if product & 4 else product


def pairwise():
    """Sixteen rows of five numbers below 4: in any two columns each pair of
    numbers occurs (an orthogonal array of the field's lines).
    """
    for a, b in itertools.product(range(4), repeat=2):
        yield (a, b, a ^ b, times(2, a) ^ b, times(3, a) ^ b)


def in_full():
    """Loss, delay, disorder and window in full; what packets, by turns."""
    for a, b, c, d in itertools.product(range(4), repeat=4):
        yield (a, b, c, d, a ^ b ^ c ^ d)


def cases(full):
    for a, b, c, d, e in in_full() if full else pairwise():
        yield LOSS[a], DELAY[b], DISORDER[c], WINDOW[d], *PACKET[e]


# ---- lanes ----


class Lane:
    def __init__(self, number):
        self.number = number
        self.router = f"router{number}"
        self.client = f"client{number}"
        self.device = f"lane{number}"
        self.address = {"IPv4": f"10.{number}.1.1", "IPv6": f"fd00:{number}:1::1"}

    def make(self):
        n = self.number
        for netns in (self.router, self.client):
            command("ip", "netns", "add", netns)
        ip(
            "server",
            f"link add {self.device} type veth peer name to-server netns {self.router}",
            f"addr add 10.{n}.1.1/24 dev {self.device}",
            f"addr add fd00:{n}:1::1/64 dev {self.device} nodad",
            f"link set {self.device} up",
        )
        ip(
            self.router,
            f"link add to-client type veth peer name to-router netns {self.client}",
            f"addr add 10.{n}.1.2/24 dev to-server",
            f"addr add fd00:{n}:1::2/64 dev to-server nodad",
            f"addr add 10.{n}.2.2/24 dev to-client",
            f"addr add fd00:{n}:2::2/64 dev to-client nodad",
            "link set to-server up",
            "link set to-client up",
        )
        ip(
            self.client,
            f"addr add 10.{n}.2.1/24 dev to-router",
            f"addr add fd00:{n}:2::1/64 dev to-router nodad",
            "link set to-router up",
            f"route add default via 10.{n}.2.2",
            f"route add default via fd00:{n}:2::2",
        )
        ip(
            "server",
            f"route add 10.{n}.2.0/24 via 10.{n}.1.2",
            f"route add fd00:{n}:2::/64 via fd00:{n}:1::2",
        )
        sysctl(self.router, "ipv4/ip_forward", 1)
        sysctl(self.router, "ipv6/conf/all/forwarding", 1)
        with inside("server"):
            command("ethtool", "-K", self.device, "tx-udp-segmentation", "off")

    def network(self, words):
        """Replace what netem does, in both directions."""
        tc(
            self.router,
            f"qdisc replace dev to-client root netem limit 20000 {words}",
            f"qdisc replace dev to-server root netem limit 20000 {words}",
        )

    def start(self, family, name, blksize, window, patience=5, port=69):
        words = (GET, self.address[family], port, name, SRV / name, blksize, window, patience)
        with inside(self.client):
            return subprocess.Popen(
                [str(word) for word in words],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )

    def finish(self, process, seconds=150):
        """What the client tells; see tftp_get.c."""
        try:
            out, err = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired as late:
            process.kill()
            process.communicate()
            raise AssertionError(f"not done after {seconds} s") from late
        if process.returncode:
            raise AssertionError(err.strip())
        keys = ("seconds", "blocks", "again", "ahead", "acks", "timeouts")
        return dict(zip(keys, map(float, out.split())))

    def fetch(self, *words, **more):
        return self.finish(self.start(*words, **more))

    def packets(self):
        """That came from the server so far."""
        return traffic(self.router, "to-server")["rx_packets"]


lanes = queue.Queue()


@contextlib.contextmanager
def lane():
    mine = lanes.get()
    try:
        yield mine
    finally:
        lanes.put(mine)


def all_packets(every):
    return sum(each.packets() for each in every)


# ---- the bar ----

BAR = "bar"
BAR_BYTES = 8 << 20
RUNS = 5


def timed(mine, runs, port=69, seconds=150):
    """Fetch the file so often; two at a time, which an emulated machine can do
    without being what limits them.
    """
    results = []
    while len(results) < runs:
        running = [
            mine.start("IPv4", BAR, 1428, 16, port=port)
            for _ in range(min(2, runs - len(results)))
        ]
        results += [mine.finish(process, seconds) for process in running]
    return statistics.median(result["seconds"] for result in results), results


def told(results):
    return ", ".join(f"{r['seconds']:.2f} s ({r['again']:.0f} again)" for r in results)


@contextlib.contextmanager
def atftpd():
    """Debian's user-space server, on another port; gives None without it."""
    program = shutil.which("atftpd")
    if not program:
        yield None
        return
    with inside("server"):
        process = subprocess.Popen(
            [program, "--daemon", "--no-fork", "--port", "6900", "--maxthread", "20"]
            + ["--user", "root.root", "--logfile", str(WORK / "atftpd.log"), str(SRV)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
    try:
        yield 6900
    finally:
        process.kill()
        process.wait()


@test("8 MiB, windows of 16, 20 ms: 1% lost each way costs less than a third", [""], tries=2)
def _():
    with lane() as mine:
        blocks = BAR_BYTES // 1428 + 1
        mine.network("delay 10ms")
        ideal = 0.02 * (blocks / 16 + 1)
        lossless, results = timed(mine, 2)
        note(f"nothing lost: median {lossless:.2f} s, at the least {ideal:.2f} s: {told(results)}")
        mine.network("delay 10ms loss 1%")
        growth = Growth()
        before = mine.packets()
        lossy, results = timed(mine, RUNS)
        sent = growth["blocks_sent"]
        note(f"1% lost: median {lossy:.2f} s: {told(results)}")
        note(f"1% lost: {lossy / lossless:.2f} times the time, {sent / RUNS / blocks:.2f} times the blocks")
        # Loss is decided by the packet, not by the train.
        assert mine.packets() - before >= sent, "trains of blocks went through netem"
        assert sent > RUNS * blocks, "nothing was lost"
        with atftpd() as port:
            if port:
                note_atftpd(mine, port)
            else:
                note("atftpd: not in this VM")
        mine.network("")
        assert lossy <= 1.3 * lossless, f"{lossy / lossless:.2f} times the lossless time"


def note_atftpd(mine, port):
    """For comparison only; whatever it does is no failure here."""
    try:
        mine.network("delay 10ms")
        lossless, results = timed(mine, 2, port, 60)
        note(f"atftpd, nothing lost: median {lossless:.2f} s: {told(results)}")
        mine.network("delay 10ms loss 1%")
        lossy, results = timed(mine, 4, port, 120)
        note(f"atftpd, 1% lost: median {lossy:.2f} s, {lossy / lossless:.2f} times: {told(results)}")
    except AssertionError as error:
        note(f"atftpd: {error}")


# ---- all kinds of networks ----


def conditions(loss, delay, disorder):
    """Words for netem. Reordering wants some delay to jump over."""
    half = max(delay / 2, 0.5) if "reordered" in disorder else delay / 2
    words = [f"delay {half}ms"] if half else []
    if loss:
        words.append(f"loss {loss}%")
    words.append(NETEM[disorder])
    return " ".join(words)


FULL = "--full" in sys.argv
if FULL:
    sys.argv.remove("--full")


@test(
    "{0}% lost, {1} ms, {2}, windows of {3}, {4}, blocks of {5}",
    [""],
    list(cases(FULL)),
    together=True,
)
def _(loss, delay, disorder, window, family, blksize):
    name = f"{BLOCKS[window]} blocks of {blksize}"
    with lane() as mine:
        mine.network(conditions(loss, delay, disorder))
        result = mine.fetch(family, name, blksize, window)
        mine.network("")
    equal("blocks", BLOCKS[window], result["blocks"])
    note(
        f"{result['seconds']:.2f} s, {result['again']:.0f} came again,"
        f" {result['ahead']:.0f} behind a gap, {result['timeouts']:.0f} timeouts of the client"
    )


@test("the server's packets were single blocks all the time", [""])
def _():
    every = [lanes.get() for _ in range(LANES)]
    packets = all_packets(every)
    sent = counters.read()["blocks_sent"]
    for each in every:
        lanes.put(each)
    note(f"{sent} blocks, {packets} packets")
    assert packets >= sent > 0
    # And would not have been otherwise.
    mine = every[0]
    with inside("server"):
        command("ethtool", "-K", mine.device, "tx-udp-segmentation", "on")
    before, growth = mine.packets(), Growth()
    mine.fetch("IPv4", "1600 blocks of 512", 512, 64)
    assert mine.packets() - before < growth["blocks_sent"], "segmentation makes no difference here"


def prepare():
    for window, (_, blksize) in itertools.product(WINDOW, PACKET):
        make(f"{BLOCKS[window]} blocks of {blksize}", os.urandom(BLOCKS[window] * blksize - 1))
    make(BAR, os.urandom(BAR_BYTES))
    for number in range(LANES):
        new = Lane(number)
        new.make()
        # Neighbours are found out before packets are lost.
        for family in ("IPv4", "IPv6"):
            wait_for("the lane", lambda f=family, n=new: n.fetch(f, "80 blocks of 512", 512, 1))
        lanes.put(new)


def clean_up():
    for number in range(LANES):
        for netns in (f"client{number}", f"router{number}"):
            subprocess.run(["ip", "netns", "delete", netns], check=False)


if __name__ == "__main__":
    begun = time.monotonic()
    try:
        with settings(source_burst=0):
            prepare()
            print(f"# prepared after {time.monotonic() - begun:.1f} s")
            run()
    finally:
        clean_up()
