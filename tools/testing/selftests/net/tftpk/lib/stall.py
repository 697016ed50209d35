# SPDX-License-Identifier: GPL-2.0
"""A file system that stops answering, by stallfs.c."""

import os
import select
import subprocess
import time

from .host import HERE, PATIENCE, command, execute, wait_for
from .ktap import equal


class Stall:
    """stallfs, mounted there meanwhile. It serves the files of a folder."""

    def __init__(self, where, folder):
        where.mkdir(mode=0o755, exist_ok=True)
        self.where = where
        self.process = subprocess.Popen(
            [str(HERE / "stallfs"), str(where), str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        self.text = b""
        self.oks = 0
        self.held = []  # of each request that is: kind, name, user
        self.answered(1)

    def read(self, seconds=0.0):
        """What it says."""
        if not select.select([self.process.stdout], [], [], seconds)[0]:
            return
        got = os.read(self.process.stdout.fileno(), 1 << 16)
        assert got, "stallfs has ended"
        *lines, self.text = (self.text + got).split(b"\n")
        for line in lines:
            if line == b"ok":
                self.oks += 1
            else:
                self.held.append(tuple(line.decode().split()))

    def answered(self, oks):
        end = time.monotonic() + PATIENCE
        while self.oks < oks:
            assert time.monotonic() < end, "stallfs does not answer"
            self.read(1)

    def tell(self, *words):
        oks = self.oks
        self.process.stdin.write(" ".join(map(str, words)).encode() + b"\n")
        self.process.stdin.flush()
        self.answered(oks + 1)

    def hold(self, *kinds):
        self.held.clear()
        self.tell("hold", *kinds)

    def go(self):
        """Answer all, from now on."""
        self.tell("hold")
        self.tell("go")

    def holds(self, n=1):
        """Are so many held?"""
        self.read()
        return len(self.held) >= n

    def wait(self, n=1):
        wait_for("storage to be asked", lambda: self.holds(n))

    def __enter__(self):
        return self

    def release(self):
        """Whatever uses it by configuration does so no longer."""

    def __exit__(self, *_):
        """It answers again, and nothing uses it."""
        self.go()
        self.release()
        try:
            wait_for("the file system to be free", lambda: not execute("umount", self.where).returncode, 5)
        except AssertionError:
            command("umount", "--lazy", self.where)
            self.process.kill()
            raise
        equal("status of stallfs", 0, self.process.wait())
