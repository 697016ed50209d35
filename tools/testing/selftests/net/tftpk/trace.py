#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""What scripts/trace/evidence says of transfers of a cached file, and that each of its
verdicts can be a FAIL.
"""

import os

from lib import CLIENTS, ctl, during, equal, execute, idle, make, note, run, served, settings, test
from lib.agent import inbox
from lib.evidence import HOLD, LOOKUPS, PATIENT, SCRIPTS, TEXT, hampered, load, write

EVIDENCE = SCRIPTS / "evidence"
KINDS = ("allocations", "copies", "switches", "slab", "cpu", "kept", "written")


def verdict(wanted, what, *words):
    done = execute(EVIDENCE, "--netns", "server", what, *words)
    note(done.stdout + done.stderr)
    last = done.stdout.splitlines()[-1]
    equal("verdict", (wanted, wanted != "PASS"), (last[: len(wanted)], done.returncode))


@test(
    "{0}, window {1}: as it should be",
    (),
    [("allocations", 16), ("copies", 16), ("switches", 1), ("slab", 64), ("cpu", 64)],
)
def _(what, window):
    verdict("PASS", what, *load(window))


@test("{0}, an upload by windows of {1}: as it should be", (), [("kept", 16), ("written", 16), ("written", 64)])
def _(what, window):
    with inbox():
        verdict("PASS", what, *write(window))


@test("allocations beyond an upload's own are seen", ())
def _():
    with inbox():
        verdict("FAIL", "kept", *LOOKUPS, 100, *write(16))


@test("in lock step an upload takes an skb for each ACK, and that is seen", ())
def _():
    with inbox():
        verdict("FAIL: an skb for every few blocks", "kept", *write(1))


@test("text that is written is copied twice, and that is seen", ())
def _():
    with inbox():
        verdict("FAIL: 2.0 copies of each byte", "written", *TEXT)


@test("a node of the table of ids is for 64 transfers, one after the other", ())
def _():
    during(settings(source_burst=0))
    verdict("PASS", "allocations", *load(16, "small", "--transfers", 200))


@test("single packets cost an skb each, and that is seen", ())
def _():
    during(settings(gso=False))
    verdict("FAIL", "allocations", *load(16))


@test("allocations beyond a transfer's own are seen", ())
def _():
    verdict("FAIL", "allocations", *LOOKUPS, 20, *load(16))


@test("copying is seen", ())
def _():
    during(settings(zerocopy=False))
    verdict("FAIL", "copies", *load(16))


@test("work that has to help is seen", ())
def _():
    during(hampered())
    verdict("FAIL", "switches", *load(1))


@test("a cache that grows is seen", ())
def _():
    during(settings(give_up=PATIENT))
    verdict("FAIL", "slab", *HOLD)
    ctl("kill", CLIENTS["IPv4"])
    idle()


@test("{0}: no load is no evidence", (), KINDS)
def _(what):
    verdict("FAIL", what, "true")


make("file", os.urandom(4_000_000))
make("small", os.urandom(20_000))
run(served())
