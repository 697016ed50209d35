#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""Requests, options, modes and block numbers: RFC 1350, 2347, 2348, 2349, 7440."""

import os
import random

from lib import (
    SRV,
    Client,
    Code,
    Data,
    Error,
    Growth,
    Oack,
    Transfer,
    ack,
    content,
    equal,
    fetch,
    headers,
    make,
    quiet,
    raw,
    request,
    run,
    same,
    served,
    settings,
    test,
)

FILE = make("file", content(100_000))
make("empty", b"")
make("one", b"x")

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
        for order in ((known, unknown), (unknown, known)):
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
    for code, counter in ((8, "clients_probing"), (0, "clients_probing"), (3, "transfers_aborted")):
        growth = Growth()
        with Client(server) as client:
            client.open("file", ("tsize", 0))
            client.error(code, "User aborted the transfer")
            growth.expect(transfers_active=0, transfers_started=1, transfers_failed=0, **{counter: 1})
            quiet(client)


# ---- values ----

# option, values that are granted as they are, values that are left out
RANGES = [
    ("blksize", (8, 9, 512, 1428), (0, 1, 7, 65465, 65536, 2**32 + 512)),
    ("timeout", (1, 2, 254, 255), (0, 256, 3000, 2**32 + 1)),
    ("utimeout", (10_000, 999_999, 255_000_000), (0, 9_999, 255_000_001, 2**32 + 10_000)),
    ("windowsize", (1, 2, 63, 64), (0, 65536, 2**32 + 1)),
    ("rollover", (0, 1), (2, 65535, 2**32)),
]
MALFORMED = (b"", b"-1", b"+8", b" 8", b"8 ", b"0x10", b"1e3", b"8.0", b"8k", b"one", b"\xb2", b"8\n")


@test("values at the ends of each option's range")
def _(server):
    for name, inside, outside in RANGES:
        for value in inside:
            equal(f"{name} {value}", pairs((name, value)), answer(server, (name, value)))
        for value in outside:
            equal(f"{name} {value}", None, answer(server, (name, value)))


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
        for name, _, outside in RANGES:
            for value in outside + MALFORMED[:4]:
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
    with Client(server) as client:
        equal("content", b"", fetch(client, "empty", ("tsize", 0)))


# ---- modes ----


def netascii(data):
    """RFC 764: what the network's virtual terminal makes of it."""
    out = bytearray()
    for byte in data:
        if byte == 10:
            out += b"\r\n"
        elif byte == 13:
            out += b"\r\0"
        else:
            out.append(byte)
    return bytes(out)


def text(size, seed):
    """Words and lines, with more line ends of all kinds than people use."""
    chance = random.Random(seed)
    pieces = (b"a", b"word ", b"\n", b"\r", b"\r\n", b"\n\r", b"\0", b"\xff", b"\r\0")
    return b"".join(chance.choices(pieces, k=size))[:size]


TEXTS = {
    "nothing": b"",
    "LF": b"\n",
    "CR": b"\r",
    "CRLF": b"\r\n",
    "lines": b"one\ntwo\r\nthree\rfour\n\n\r\r\n",
    "LF split": b"x" * 511 + b"\n" + b"y" * 100,
    "CR split": b"x" * 511 + b"\rnext",
    "CRLF split": b"x" * 510 + b"\r\n" + b"z" * 600,
    "LF last": b"x" * 511 + b"\n",
    "CR last": b"x" * 700 + b"\r",
    "CR last of a block": b"x" * 510 + b"\r",
    "full blocks": b"x" * 1024,
    "full once converted": b"x" * 510 + b"\n",
    "only LF": b"\n" * 1000,
    "page": b"x" * 4095 + b"\n" + b"y" * 4095 + b"\r",
}


def fetch_text(server, name, *options):
    with Client(server) as client:
        transfer = Transfer(client, name, *options, mode="netascii")
        data = transfer.finish()
        if transfer.oack:
            equal("tsize", None, transfer.oack.get("tsize"))
        return data


@test("netascii: line ends, also where they are split between blocks")
def _(server):
    for name, data in TEXTS.items():
        make(name, data)
        same(netascii(data), fetch_text(server, name))
        if len(data) < 1000:
            same(netascii(data), fetch_text(server, name, ("blksize", 8)))
        same(netascii(data), fetch_text(server, name, ("tsize", 0), ("blksize", 513), ("windowsize", 4)))


@test("netascii: 100,000 bytes in several block sizes")
def _(server):
    data = make("long", text(100_000, 1))
    growth = Growth()
    for size in (512, 1428, 1000):
        same(netascii(data), fetch_text(server, "long", ("blksize", size), ("tsize", 0), ("windowsize", 8)))
    # Converted is copied, octets are not.
    copied = growth["bytes_copied"]
    equal("bytes copied", growth["bytes_sent"], copied)
    with Client(server) as client:
        same(data, fetch(client, "long", ("blksize", 1428)))
    equal("bytes copied", copied, growth["bytes_copied"])


@test("netascii: tsize is left out")
def _(server):
    equal("OACK", None, answer(server, ("tsize", 0), mode="netascii"))
    got = answer(server, ("tsize", 0), ("blksize", 600), mode="netascii")
    equal("OACK", pairs(("blksize", 600)), got)


@test("netascii: a block that was lost is sent again as it was", timed=True)
def _(server):
    make("lines", TEXTS["lines"] * 100)
    wanted = netascii(TEXTS["lines"] * 100)
    with Client(server) as client:
        client.request("lines", mode="netascii")
        same(wanted[:512], client.expect(Data, block=1).payload)
        client.ack(1)
        same(wanted[512:1024], client.expect(Data, block=2).payload)
        same(wanted[512:1024], client.expect(Data, block=2).payload)
        client.ack(2)
        same(wanted[1024:1536], client.block(3))


@test("modes in any case; others are dropped and counted")
def _(server):
    for mode in ("OCTET", "Octet", "NETASCII", "NetAscii"):
        with Client(server) as client:
            client.request("file", mode=mode)
            client.expect(Data, block=1)
    growth = Growth()
    with Client(server) as client:
        for mode in ("", "octe", "octets", "binary"):
            client.request("file", mode=mode)
        quiet(client)
    equal("malformed", 4, growth["packets_malformed"])


@test("mail is refused")
def _(server):
    growth = Growth()
    with Client(server) as client:
        for mode in ("mail", "MAIL"):
            client.request("user", mode=mode)
            client.expect(Error, code=Code.OPERATION)
    growth.expect(requests_refused=2, transfers_started=0)


# ---- packets ----


@test("requests of more than 512 bytes are served")
def _(server):
    for size in (512, 513, 1400):
        with Client(server) as client:
            packet = request("/" * (size - 13) + "file")
            equal("length", size, len(packet))
            client.send(packet)
            same(FILE[:512], client.expect(Data, block=1).payload)


@test("ACKs may be longer than four bytes")
def _(server):
    with Client(server) as client:
        client.request("file")
        for block in range(1, 8):
            client.block(block)
            client.send(ack(block) + (b"", b"\0", b"\xff", b"\0\1", b"x" * 500)[block % 5])
        client.block(8)


# ---- names ----

NAMES = {
    "boot/x64/wdsnbp.com": b"deep",
    "with blank": b"blank",
    "back\\slash": b"back",
    "\xe4\u20ac".encode(): b"utf-8",
    b"\xff\xfe\x80": b"bytes",
    "n" * 255: b"long",
    "-": b"dash",
}


@test("names with slashes and backslashes, as clients send them")
def _(server):
    for name, data in NAMES.items():
        path = os.path.join(os.fsencode(SRV), raw(name))
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(data)
    sent = [(name, data) for name, data in NAMES.items()]
    sent += [("/" + name, data) for name, data in NAMES.items() if isinstance(name, str)]
    sent += [(b"/" + b"\xff\xfe\x80", b"bytes"), ("//boot///x64/./wdsnbp.com", b"deep")]
    sent += [("\\boot\\x64\\wdsnbp.com", b"deep"), ("boot\\x64\\wdsnbp.com", b"deep")]
    sent += [("boot\\x64/wdsnbp.com", b"deep"), ("\\with blank", b"blank")]
    # A name that has a backslash is what it is.
    sent += [("/back\\slash", b"back")]
    for name, data in sent:
        with Client(server) as client:
            equal(f"content of {name!r}", data, fetch(client, name))
    make("back/slash", b"folder")
    with Client(server) as client:
        equal("content", b"back", fetch(client, "back\\slash"))
    with Client(server) as client:
        equal("content", b"folder", fetch(client, "back/slash"))


# ---- more than 65,535 blocks ----

LONG = make("65540 blocks of 8", content(65_539 * 8 + 3, 5))


def roll(server, *options, rollover=0):
    with Client(server) as client:
        transfer = Transfer(client, "65540 blocks of 8", ("blksize", 8), *options, rollover=rollover)
        same(LONG, transfer.hurry())
        equal("blocks", 65_540, transfer.blocks)


# One by one with rollover 0: see fetch.sh.
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
