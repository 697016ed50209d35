#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""An address that several servers have: what belongs to no transfer here may belong to
one elsewhere, and is met with silence for a while.
"""

import time

from lib import (
    WORK, Code, Error, Growth, ack, content, ctl, data, during, equal, error, listening, make,
    note, quiet, refuses, run, served, test, told,
)
from lib.forge import Forger, away, crowded, guest, stranger
from lib.genl import TFTPK, Genl, attribute

make("file", content(19 * 512))
GRACE = 3
# A record is worth something for two graces and so many seconds.
DUE = 10
# Records of clients beyond the router, or of all others.
RECORDS = 8192


def anycast(grace=""):
    during(listening(f"* --single-port --anycast{grace}"))


def is_told(client):
    client.expect(Error, code=Code.TID)


def silent(*clients, packet=ack(7)):
    """Have them send what belongs to no transfer, and get no answer."""
    growth = Growth()
    for client in clients:
        client.send(packet)
    growth.expect(packets_silenced=len(clients), packets_unknown=len(clients), packets_strange=0)
    quiet(*clients)


def told_now(client, packet=ack(7)):
    growth = Growth()
    client.send(packet)
    is_told(client)
    growth.expect(packets_silenced=0, packets_unknown=1, packets_strange=1)


@test("{0} of no transfer: an ERROR", cases=[("ACK", ack(7)), ("DATA", data(7, b"x"))])
def _(server, _, packet):
    """What all others are about, and their positive control."""
    for options in ("--single-port", "--single-port --anycast=0"):
        with listening(f"* {options}"):
            told_now(guest(server), packet)


@test(
    "{0} of no transfer: silence for the grace, then an ERROR, and so on",
    cases=[("ACK", ack(7)), ("DATA", data(7, b"x"))],
    timed=True,
)
def _(server, _, packet):
    anycast()
    client = guest(server)
    for _ in range(3):
        silent(client, packet=packet)
        time.sleep(GRACE - 1)
        silent(client, packet=packet)
        time.sleep(1)
        told_now(client, packet)


@test("a grace of a second")
def _(server):
    anycast("=1")
    client = guest(server)
    silent(client)
    time.sleep(1.1)
    told_now(client)


@test("the silence is each client's and port's own, and begins with the first packet", timed=True)
def _(server):
    anycast("=5s")
    one, other = guest(server), guest(server)
    silent(one)
    time.sleep(4)
    silent(one, other)
    time.sleep(1)
    told_now(one)
    silent(other)
    time.sleep(4)
    told_now(other)


@test("never: silence for ever", timed=True)
def _(server):
    anycast("=never")
    client = guest(server)
    for _ in range(8):
        silent(client)
        time.sleep(GRACE)


@test("who comes back after a longer while is met with silence again", timed=True)
def _(server):
    anycast()
    client = guest(server)
    silent(client)
    time.sleep(2 * GRACE + DUE - 1)
    told_now(client)
    silent(client)
    time.sleep(2 * GRACE + DUE)
    silent(client)


@test("a transfer of this server is served, and late packets of it are no others' packets")
def _(server):
    anycast()
    growth, client = Growth(), guest(server)
    client.open("file", ("blksize", 1024))
    client.ack(0)
    for block in range(1, 11):
        client.block(block)
        client.ack(block)
    growth.expect(transfers_completed=1, transfers_active=0)
    client.ack(10)
    growth.expect(packets_unknown=1, packets_silenced=0, packets_strange=0)
    client.peer = None


@test("an ERROR of another's client is taken note of by nobody")
def _(server):
    anycast()
    growth, client = Growth(), guest(server)
    client.send(error())
    quiet(client)
    growth.expect(packets_silenced=0, packets_strange=0)


# ---- forgers ----


def fill(server, packets=6 * RECORDS):
    """Take the records of all whom nobody knows; returns how many that took."""
    forger, growth = Forger(server), Growth()
    source, packet = away(server, 700), ack(7)
    for number in range(packets):
        forger.send(source, 1024 + number, 69, packet)
        # Not more at once than the other end takes.
        if number % 256 == 255:
            growth.expect(packets_unknown=number + 1)
    return growth["packets_silenced"]


@test("forged packets take all records: newcomers get their ERROR, others stay as they were", timed=True)
def _(server):
    # So long that all of it takes no longer.
    grace = 60
    anycast(f"={grace}")
    known, begun = stranger(server, 40), time.monotonic()
    silent(known)
    taken = fill(server)
    note(f"{taken} of {RECORDS} records, {time.monotonic() - begun:.1f} s")
    equal("records", RECORDS - 1, taken)
    # Not pushed out: it is still met with silence, and told in the end.
    silent(known)
    told_now(stranger(server, 41))
    # They are none of the link's.
    silent(guest(server))
    time.sleep(max(0, begun + grace - time.monotonic()))
    told_now(known)


@test("packets forged in the name of a client: it is told within a grace, and once", timed=True)
def _(server):
    anycast()
    client, forger = stranger(server, 42), Forger(server)
    begun, came = time.monotonic(), []
    while time.monotonic() < begun + 10 * GRACE:
        forger.send(away(server, 42), client.port, 69, ack(7))
        if client.poll(0.1) is not None:
            came.append(time.monotonic() - begun)
    note(" ".join(f"{at:.1f}" for at in came))
    # The first of the packets after each grace.
    for number, at in enumerate(came, 1):
        assert number * GRACE <= at < number * (GRACE + 0.5), at
    assert len(came) >= 8, came


# ---- configuration ----


@test("what the kernel refuses", ())
def _():
    single = attribute(TFTPK["TFTPK_A_LISTENER_SINGLE_PORT"], b"")
    port = attribute(TFTPK["TFTPK_A_LISTENER_PORT"], (1069).to_bytes(2, "big"))
    with Genl("server") as netlink:

        def add(seconds, *more):
            grace = attribute(TFTPK["TFTPK_A_LISTENER_ANYCAST"], seconds.to_bytes(4, "little"))
            return netlink.ask(TFTPK["TFTPK_CMD_LISTENER_ADD"], b"".join((grace, port, *more)), 4)[0]

        equal("without a single port", 22, add(3))
        for seconds in (3601, 2**31, 2**32 - 2):
            equal(f"{seconds} seconds", 34, add(seconds, single))
        equal("0 without a single port", 0, add(0))
    ctl("unlisten", "*:1069")


@test("show, JSON, save, sync", ())
def _():
    saved = WORK / "saved"
    for option, text, number in (
        ("", "3s", 3), ("=1m", "60s", 60), ("=never", "never", "never"), ("=0", None, None)
    ):
        told_of = told("listen", "*:1069", "--single-port", f"--anycast{option}")["listen"]
        equal("JSON", [number] * 2, [listener["anycast"] for listener in told_of])
        shown = [line for line in ctl("show").splitlines() if ":1069" in line]
        tail = f"single-port, anycast {text}" if text else "single-port"
        equal("show", [True] * 2, [line.endswith(f" {tail}") for line in shown])
        ctl("save", saved)
        word = f" --anycast={text.removesuffix('s')}" if text else ""
        lines = saved.read_text(encoding="utf-8").splitlines()
        assert f"listen *:1069 --single-port{word}" in lines, lines
        equal("sync", "nothing to change\n", ctl("sync", saved))
        ctl("unlisten", "*:1069")
        if text:
            assert "listen" in ctl("sync", saved)
            equal("JSON", {number}, {entry["anycast"] for entry in told("show")["listeners"] if entry["port"] == 1069})
            ctl("unlisten", "*:1069")
    refuses("*--anycast: wants --single-port", "listen", "*:1069", "--anycast", status=2)


run(served(), crowded())
