#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""How soon a transfer recovers from loss: by what a percent of it costs. That
is a ratio of times, so it runs by virtual time.
"""

import contextlib
import os
import shutil
import statistics
import subprocess

from lab import WORK, Growth, inside, make, note, run, test
from lanes import lane, laid
from testbed import SRV

BAR = "bar"
BAR_BYTES = 8 << 20
RUNS = 9


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


if __name__ == "__main__":
    make(BAR, os.urandom(BAR_BYTES))
    with laid(1):
        run()
