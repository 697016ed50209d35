#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""What scripts/trace/evidence says of transfers of a cached file, and that each of its
verdicts can be a FAIL.
"""

import os
import sys

from lib import (
    CLIENTS, HERE, SERVERS, SRV, Client, Data, Error, ctl, during, equal, execute, idle, make, note,
    run, served, settings, test,
)
from lib.agent import inbox
from lib.upload import netascii, upload

# In the VM, where the tests lie in /tests, this is below the root, too.
EVIDENCE = HERE / "../../../../../scripts/trace/evidence"
SERVER = SERVERS["IPv4"]
KINDS = ("allocations", "copies", "switches", "slab", "cpu", "kept", "written")
# Transfers of some slabs
HELD = 100
# Seconds for which silent clients are kept, however long gathering evidence takes
PATIENT = 600


def load(window, file="file", *options):
    """A client that compares every byte."""
    options += ("--blksize", 1428, "--windowsize", window, "--patience", 10)
    return HERE / "tftpload", "--data", SRV / file, *options, SERVER, file


def write(window, *options):
    """A client that writes the file."""
    options += ("--blksize", 1428, "--windowsize", window, "--patience", 10)
    return HERE / "tftpload", "--write", "--data", SRV / "file", *options, SERVER, "written-%"


def begin(client):
    """A transfer whose client is validated."""
    client.open("file", ("blksize", 1428))
    for block in 0, 1:
        client.ack(block)
        client.expect(Data, block=block + 1)


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
    lookups = "for i in $(seq 100); do tftpkctl -n server test --no-agent 'no\\such' || :; done"
    with inbox():
        verdict("FAIL", "kept", "sh", "-c", f'{lookups} >/dev/null 2>&1; exec "$@"', "sh", *write(16))


@test("in lock step an upload takes an skb for each ACK, and that is seen", ())
def _():
    with inbox():
        verdict("FAIL: an skb for every few blocks", "kept", *write(1))


@test("text that is written is copied twice, and that is seen", ())
def _():
    with inbox():
        verdict("FAIL: 2.0 copies of each byte", "written", sys.executable, "-B", __file__, "text")


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
    # Each of these copies a name.
    lookups = "for i in $(seq 20); do tftpkctl -n server test 'no\\such' || :; done"
    verdict("FAIL", "allocations", "sh", "-c", f'{lookups} >/dev/null 2>&1; exec "$@"', "sh", *load(16))


@test("copying is seen", ())
def _():
    during(settings(zerocopy=False))
    verdict("FAIL", "copies", *load(16))


@test("work that has to help is seen", ())
def _():
    """Nothing is read ahead while others hold what may be pinned."""
    during(settings(max_pinned=1, give_up=PATIENT))
    for _ in range(8):
        begin(during(Client(SERVER)))
    verdict("FAIL", "switches", *load(1))


def text():
    """Write random bytes as text: few of them are line ends."""
    with Client(SERVER) as client:
        wire = netascii(os.urandom(500_000))
        upload(client, "text", wire, ("blksize", 1428), ("windowsize", 16), mode="netascii")


def hold():
    """Begin transfers that stay: some more each time that this is run."""
    clients = [Client(SERVER) for _ in range(HELD)]
    for client in clients:
        begin(client)
    if not os.fork():
        # Nobody waits for this process, nor for its output. An ERROR tells that it is over.
        os.closerange(0, 3)
        clients[0].expect(Error, PATIENT)


@test("a cache that grows is seen", ())
def _():
    during(settings(give_up=PATIENT))
    verdict("FAIL", "slab", sys.executable, "-B", __file__, "hold")
    ctl("kill", CLIENTS["IPv4"])
    idle()


@test("{0}: no load is no evidence", (), KINDS)
def _(what):
    verdict("FAIL", what, "true")


if sys.argv[1:] in (["hold"], ["text"]):
    {"hold": hold, "text": text}[sys.argv[1]]()
    sys.exit()
make("file", os.urandom(4_000_000))
make("small", os.urandom(20_000))
run(served())
