# SPDX-License-Identifier: GPL-2.0
"""Evidence by ftrace, with a positive control for each kind."""

import contextlib
import os
import pathlib
import subprocess
import sys

from testbed import CLIENTS, SERVERS, SRV, ctl, note, run, settings, test, transfers, wait_for
from tftp_packet import Client, Data, Error, Oack

HERE = pathlib.Path(__file__).resolve().parent
# In the VM, where the tests lie in /tests, this is below the root, too.
EVIDENCE = HERE / "../../../../../scripts/trace/evidence"
SERVER = SERVERS["IPv4"]
# Transfers of some slabs
HELD = 100
# Seconds for which silent clients are kept, however long gathering evidence takes
PATIENT = 600


def fetch(windowsize, times=1, name="file"):
    """A load: files, one after the other. Compares what arrives."""
    command = [HERE / "tftp_get", SERVER, "69", name, SRV / name, "1428", str(windowsize), "10"]
    return ["sh", "-c", f"for i in $(seq {times}); do {' '.join(map(str, command))}; done"]


def begin(client):
    """A transfer whose client has proved to be there."""
    client.request("file", {"blksize": 1428})
    client.wait_for(Oack)
    for block in 0, 1:
        client.ack(block)
        client.wait_for(Data)


def verdict(wanted, what, command):
    done = subprocess.run(
        [EVIDENCE, "--netns", "server", what, *command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    note(done.stdout)
    last = done.stdout.splitlines()[-1:] or ["nothing"]
    if not last[0].startswith(wanted) or done.returncode != (wanted != "PASS"):
        raise AssertionError(f"wanted {wanted}, got status {done.returncode} and {last[0]}")


@test("{0}, window {1}: as it should be", families=["IPv4"], cases=[
    ("allocations", 16), ("copies", 16), ("switches", 1), ("slab", 64), ("cpu", 64),
])
def passes(_, what, windowsize):
    verdict("PASS", what, fetch(windowsize))


@test("single packets cost an skb each, and that is seen", families=["IPv4"])
def packets(_):
    with settings(gso=False):
        verdict("FAIL", "allocations", fetch(16))


@test("allocations beyond a transfer's own are seen", families=["IPv4"])
def injected(_):
    # Each of these copies a name.
    lookups = "for i in $(seq 20); do tftpkctl -n server test 'no\\such' || :; done"
    fetch16 = fetch(16)[-1]
    verdict("FAIL", "allocations", ["sh", "-c", f"{{ {lookups}; }} >/dev/null 2>&1; {fetch16}"])


@test("copying is seen", families=["IPv4"])
def copying(_):
    with settings(zerocopy=False):
        verdict("FAIL", "copies", fetch(16))


@test("work that has to help is seen", families=["IPv4"])
def refills(_):
    """Nothing is read ahead while others hold what may be pinned."""
    with settings(max_pinned=1, give_up=PATIENT), contextlib.ExitStack() as stack:
        for _ in range(8):
            begin(stack.enter_context(Client(SERVER)))
        verdict("FAIL", "switches", fetch(1))
        ctl("kill", CLIENTS["IPv4"])
    wait_for("the others are gone", lambda: not transfers())


def hold():
    """Begin transfers that stay: some more each time that this is run."""
    clients = [Client(SERVER) for _ in range(HELD)]
    for client in clients:
        begin(client)
    if not os.fork():
        # An ERROR tells that it is over; nobody waits for this process.
        clients[0].wait_for(Error)


@test("a cache that grows is seen", families=["IPv4"])
def growth(_):
    with settings(give_up=PATIENT):
        verdict("FAIL", "slab", [sys.executable, "-B", __file__, "hold"])
        ctl("kill", CLIENTS["IPv4"])
    wait_for("they are gone", lambda: not transfers())


@test("{0}: no load is no evidence", families=["IPv4"], cases=[
    "allocations", "copies", "switches", "slab", "cpu",
])
def nothing(_, what):
    verdict("FAIL", what, ["true"])


if __name__ == "__main__":
    if sys.argv[1:] == ["hold"]:
        hold()
    else:
        run()
