#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""What is negotiated: options, and the numbers of blocks. RFC 2347, 2348, 2349, 7440."""

import random

from lib import (
    SRV, Client, Code, Data, Error, Growth, Oack, Transfer, content, ctl, defer, equal, exported, fetch,
    headers, make, quiet, request, run, same, served, settings, test,
)

FILE = make("file", content(100_000))
make("empty", b"")
make("one", b"x")
make("other/file", FILE)

# Every option, with a value that is granted as it is.
GRANTED = [
    ("blksize", 1024),
    ("timeout", 7),
    ("tsize", len(FILE)),
    ("windowsize", 4),
    ("rollover", 1),
    ("utimeout", 500_000),
]


def pairs(*options):
    """Options as an OACK has them."""
    return tuple((name, str(value)) for name, value in options)


def answer(server, *options, name="file", mode="octet"):
    """Options of the OACK, or None where DATA comes at once."""
    with Client(server) as client:
        packet = client.ask(name, *options, mode=mode)
        if isinstance(packet, Data):
            if mode == "octet":
                equal("block", (1, (SRV / name).read_bytes()[:512]), (packet.block, packet.payload))
            return None
        equal("answer", Oack, type(packet))
        return packet.options


# ---- RFC 2347: negotiation ----


@test("no options: DATA at once, in blocks of 512 bytes")
def _(server):
    with Client(server) as client:
        client.request("file")
        same(FILE[:512], client.expect(Data, block=1).payload)
        client.ack(1)
        same(FILE[512:1024], client.block(2))


@test("each option alone is granted alone")
def _(server):
    for option in GRANTED:
        equal(f"OACK to {option}", pairs(option), answer(server, option))


@test("options are granted in the order of the request")
def _(server):
    order = GRANTED[:-1]  # a timeout is granted in one unit
    for _ in range(6):
        random.shuffle(order)
        equal("OACK", pairs(*order), answer(server, *order))


@test("option names in any case are granted in lower case")
def _(server):
    for change in (str.upper, str.title, str.swapcase):
        asked = [(change(name), value) for name, value in GRANTED[:-1]]
        equal(f"OACK to {asked}", pairs(*GRANTED[:-1]), answer(server, *asked))


@test("unknown options are left out")
def _(server):
    known = ("blksize", 600)
    for unknown in (("msftwindow", 31416), ("multicast", ""), ("", ""), ("blksiz", 8), (b"\xff", b"\xfe")):
        equal(f"OACK to {unknown} alone", None, answer(server, unknown))
        for order in ((known, unknown), (unknown, known), (unknown, known, unknown)):
            equal(f"OACK to {order}", pairs(known), answer(server, *order))


@test("of an option that is repeated the first counts")
def _(server):
    for first, second in ((600, 700), (700, 600)):
        equal("OACK", pairs(("blksize", first)), answer(server, ("blksize", first), ("BLKSIZE", second)))
    # Also where the first one is out of range.
    equal("OACK", None, answer(server, ("blksize", 7), ("blksize", 600)))
    # One timeout, in whichever unit it comes first.
    for both in (GRANTED[1], GRANTED[5]), (GRANTED[5], GRANTED[1]):
        equal(f"OACK to {both}", pairs(both[0]), answer(server, *both))


@test("ACK 0 accepts the OACK; other ACKs do not")
def _(server):
    with Client(server) as client:
        client.open("file", ("blksize", 600))
        client.ack(1)
        client.ack(65535)
        quiet(client)
        client.ack(0)
        same(FILE[:600], client.block(1))


@test("the OACK is repeated as it was, from the same port", timed=True)
def _(server):
    with Client(server) as client:
        first = client.open("file", *GRANTED[:-2])
        equal("second OACK", first, client.expect(Oack))
        client.ack(0)
        client.block(1)


@test("every ERROR ends the negotiation quietly")
def _(server):
    for code in Code:
        # To ask for the size and to leave is no failure.
        probe = code in (Code.UNDEFINED, Code.OPTION)
        growth = Growth()
        with Client(server) as client:
            client.open("file", ("tsize", 0))
            client.error(code, "User aborted the transfer")
            growth.expect(
                transfers_active=0,
                transfers_started=1,
                transfers_failed=0,
                clients_probing=int(probe),
                transfers_aborted=int(not probe),
            )
            quiet(client)
            client.peer = None


ODD_ENDS = {
    "a name without value": b"tsize\0",
    "a value without end": b"tsize\0" b"0",
    "an empty name": b"\0" b"0\0",
    "an empty value": b"blksize\0\0",
    "a value with a blank": b"blksize\0 512\0",
    "zeros": b"\0" * 100,
    "noise": bytes(range(1, 256)),
}


@test("a request that ends with {0} has no option", cases=ODD_ENDS.items())
def _(server, _, end):
    with Client(server) as client:
        client.send(request("file") + end)
        client.expect(Data, block=1, payload=FILE[:512])
    # The same end behind a good option leaves that alone.
    for option in GRANTED[:2]:
        with Client(server) as client:
            client.send(request("file", [option]) + end)
            client.expect(Oack, options=pairs(option))


# ---- values ----

# option, values that are granted as they are, values that are left out
RANGES = [
    ("blksize", (8, 9, 512, 1428), (0, 1, 7)),
    ("timeout", (1, 2, 254, 255), (0, 256, 3000, 2**32 + 1)),
    ("utimeout", (10_000, 999_999, 255_000_000), (0, 9_999, 255_000_001, 2**32 + 10_000)),
    ("windowsize", (1, 2, 63, 64), (0,)),
    ("rollover", (0, 1), (2, 65535, 2**32)),
]
# Values above the range of an option of which less may be granted. Cut to 16, 32 or
# 64 bits they would be small ones.
ABOVE = [
    ("blksize", (65465, 65535, 65536, 2**16 + 512, 2**32 + 512, 2**64 + 512, 10**31)),
    ("windowsize", (65536, 65537, 2**32 + 1, 2**64 + 1)),
]
MALFORMED = (b"", b"-1", b"+8", b" 8", b"8 ", b"0x10", b"1e3", b"8.0", b"8k", b"one", b"\xb2", b"8\n")


@test("values at the ends of each option's range")
def _(server):
    for name, inside, outside in RANGES:
        for value in inside:
            equal(f"{name} {value}", pairs((name, value)), answer(server, (name, value)))
        for value in outside:
            equal(f"{name} {value}", None, answer(server, (name, value)))


@test("what is above an option's range is granted as far as it goes")
def _(server):
    largest = {"blksize": 1500 - headers(server), "windowsize": 64}
    for name, values in ABOVE:
        for value in values:
            equal(f"{name} {value}", pairs((name, largest[name])), answer(server, (name, value)))
    # What is sent is what was granted.
    for netascii in (False, True):
        with Client(server) as client:
            transfer = Transfer(client, "file", ("blksize", 65535), mode="netascii" if netascii else "octet")
            equal("block size", largest["blksize"], transfer.blksize)
            transfer.finish()
    with settings(clamp_mtu=False):
        equal("OACK", pairs(("blksize", 65464)), answer(server, ("blksize", 65535)))
        with settings(max_blksize=4096):
            equal("OACK", pairs(("blksize", 4096)), answer(server, ("blksize", 65535)))


@test("malformed values are left out")
def _(server):
    for name, _ in GRANTED:
        for value in MALFORMED:
            equal(f"{name} {value}", None, answer(server, (name, value)))
    # Leading zeros are a matter of taste; the number is the same.
    equal("blksize 0600", pairs(("blksize", 600)), answer(server, ("blksize", "0600")))


@test("a malformed option does not take others with it")
def _(server):
    good = ("windowsize", 4)
    for bad in (("blksize", "x"), ("timeout", 0), ("tsize", "-1")):
        for order in ((good, bad), (bad, good)):
            equal(f"OACK to {order}", pairs(good), answer(server, *order))


@test("no value is granted above what was asked or is allowed")
def _(server):
    mtu = 1500 - headers(server)
    for asked, granted in ((mtu, mtu), (mtu + 1, mtu), (8192, mtu), (65464, mtu)):
        equal(f"blksize {asked}", pairs(("blksize", granted)), answer(server, ("blksize", asked)))
    for asked in (65, 1000, 65535):
        equal(f"windowsize {asked}", pairs(("windowsize", 64)), answer(server, ("windowsize", asked)))
    with settings(max_blksize=1000, max_windowsize=7):
        got = answer(server, ("blksize", 1400), ("windowsize", 16))
        equal("OACK", pairs(("blksize", 1000), ("windowsize", 7)), got)
        got = answer(server, ("blksize", 999), ("windowsize", 6))
        equal("OACK", pairs(("blksize", 999), ("windowsize", 6)), got)
    with settings(max_windowsize=16384):
        # What is granted is sent at once, and every block of it.
        with Client(server) as client:
            oack = client.open("file", ("blksize", 512), ("windowsize", 65535))
            window = int(oack["windowsize"])
            assert 64 < window <= 16384, f"window {window}"
            client.ack(0)
            same(FILE[: window * 512], client.blocks(1, min(window, 100_000 // 512 + 1)))


@test("strict-options: ERROR 8 for what is malformed or out of range")
def _(server):
    def ask(*options, name="file"):
        with Client(server) as client:
            return client.ask(name, *options)

    with settings(strict_options=True):
        growth = Growth()
        refused = 0
        above = dict(ABOVE)
        for name, _, outside in RANGES:
            for value in (*outside, *above.get(name, ()), *MALFORMED[:4]):
                packet = ask(("tsize", 0), (name, value))
                equal(f"answer to {name} {value}", (Error, Code.OPTION), (type(packet), packet.code))
                refused += 1
        equal("answer to tsize x", Error, type(ask(("tsize", "x"))))
        growth.expect(requests_refused=refused + 1, transfers_started=0)
        # What is in order is granted, capped as ever; the unknown is left out.
        equal("OACK", pairs(*GRANTED[:-1]), ask(*GRANTED[:-1]).options)
        equal("OACK", pairs(("windowsize", 64)), ask(("windowsize", 65535), ("what", "?")).options)
        equal("answer to an unknown option", Data, type(ask(("what", "?"))))
    equal("answer to tsize x", Data, type(ask(("tsize", "x"))))


# ---- tsize ----


@test("tsize tells the size, whatever number the client sends")
def _(server):
    for sent in (0, 1, 99, 2**64 - 1, 2**64, 10**30):
        equal(f"tsize {sent}", pairs(("tsize", len(FILE))), answer(server, ("tsize", sent)))
    equal("tsize of one byte", pairs(("tsize", 1)), answer(server, ("tsize", 0), name="one"))


@test("tsize has 64 bits: 5 GiB and a byte")
def _(server):
    path = SRV / "huge"
    size = 5 * 2**30 + 1
    with open(path, "wb") as file:
        file.truncate(size)
    try:
        equal("tsize", pairs(("tsize", size)), answer(server, ("tsize", 0), name="huge"))
        # The window ends where the file does, not where 32 bits do.
        with Client(server) as client:
            transfer = Transfer(client, "huge", ("tsize", 0), ("windowsize", 64), ("blksize", 1024))
            equal("tsize", str(size), transfer.oack["tsize"])
            transfer.step(256)
    finally:
        path.unlink()


@test("tsize is left out for an empty file")
def _(server):
    equal("OACK", None, answer(server, ("tsize", 0), name="empty"))
    got = answer(server, ("blksize", 600), ("tsize", 0), ("timeout", 3), name="empty")
    equal("OACK", pairs(("blksize", 600), ("timeout", 3)), got)
    for options in ((), (("blksize", 1024),)):
        with Client(server) as client:
            equal("content", b"", fetch(client, "empty", ("tsize", 0), *options))


@test("netascii: tsize is left out")
def _(server):
    equal("OACK", None, answer(server, ("tsize", 0), mode="netascii"))
    got = answer(server, ("tsize", 0), ("blksize", 600), mode="netascii")
    equal("OACK", pairs(("blksize", 600)), got)


# ---- what an export has otherwise ----


def exporting(*words):
    """The folder, with these options, for the rest of the test."""
    ctl("unexport", SRV)
    ctl("export", SRV, *words)
    defer(ctl, "export", SRV)
    defer(ctl, "unexport", SRV)


@test("export --max-blksize: instead of the setting")
def _(server):
    exporting("--max-blksize", 1000)
    for asked, granted in ((1400, 1000), (65535, 1000), (1000, 1000), (999, 999)):
        equal(f"blksize {asked}", pairs(("blksize", granted)), answer(server, ("blksize", asked)))
    with settings(max_blksize=700):
        equal("blksize 1400", pairs(("blksize", 1000)), answer(server, ("blksize", 1400)))
    # Others are not concerned.
    with exported(SRV / "other", "--as", "other"):
        equal("blksize", pairs(("blksize", 1400)), answer(server, ("blksize", 1400), name="other/file"))


@test("export --no-tsize: the size is not told")
def _(server):
    exporting("--no-tsize")
    equal("OACK", None, answer(server, ("tsize", 0)))
    got = answer(server, ("tsize", 0), ("blksize", 600))
    equal("OACK", pairs(("blksize", 600)), got)


@test("export --rollover 1: for clients that do not say", ["IPv4"])
def _(server):
    exporting("--rollover", 1)
    for options, rollover in (((), 1), ((("rollover", 0),), 0)):
        with Client(server) as client:
            options = (("blksize", 8), ("windowsize", 64), *options)
            transfer = Transfer(client, "65540 blocks of 8", *options, rollover=rollover)
            equal("is rollover told", not rollover, "rollover" in transfer.oack)
            same(LONG, transfer.hurry())


# ---- more than 65,535 blocks ----

LONG = make("65540 blocks of 8", content(65_539 * 8 + 3, 5))


def roll(server, *options, rollover=0):
    with Client(server) as client:
        transfer = Transfer(client, "65540 blocks of 8", ("blksize", 8), *options, rollover=rollover)
        same(LONG, transfer.hurry())
        equal("blocks", 65_540, transfer.blocks)


# One by one with rollover 0: see fetch.py.
@test("65,540 blocks, one by one, rollover 1", ["IPv4"])
def _(server):
    roll(server, ("rollover", 1), rollover=1)


@test("65,540 blocks in windows of 64, rollover 0", ["IPv6"])
def _(server):
    roll(server, ("windowsize", 64), ("rollover", 0))


@test("65,540 blocks in windows of 33, rollover 1", ["IPv6"])
def _(server):
    roll(server, ("rollover", 1), ("windowsize", 33), rollover=1)


@test("rollover {0}: an ACK within a window that rolls over takes it back", ["IPv4"], [0, 1])
def _(server, rollover):
    window = [*range(65473, 65536), rollover]
    again = [*range(65534, 65536), *range(rollover, rollover + 5)]
    with Client(server) as client:
        options = [("blksize", 8), ("windowsize", 64), ("rollover", rollover)]
        transfer = Transfer(client, "65540 blocks of 8", *options, rollover=rollover)
        transfer.hurry(upto=65_472)
        for block in window:
            client.block(block)
        client.ack(65533)
        for block in again:
            client.block(block)
        client.ack(again[-1])


run(served())
