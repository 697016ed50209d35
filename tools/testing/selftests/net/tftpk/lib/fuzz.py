# SPDX-License-Identifier: GPL-2.0
"""What tests share that leave it to chance what they send. TFTPK_FUZZ_SECONDS is the
length of each, TFTPK_FUZZ_SEED repeats one.
"""

import contextlib
import os
import random
import time

from .ktap import note

SECONDS = float(os.environ.get("TFTPK_FUZZ_SECONDS", "2"))
SEED = os.environ.get("TFTPK_FUZZ_SEED") or str(random.SystemRandom().randrange(1 << 32))


class Fuzz(random.Random):
    """The same course for the same seed and words."""

    def __init__(self, *words):
        super().__init__(" ".join((SEED, *words)))

    def one_in(self, n):
        return self.randrange(n) == 0


@contextlib.contextmanager
def seed_told():
    note(f"TFTPK_FUZZ_SEED={SEED}")
    yield


def until(seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        yield
