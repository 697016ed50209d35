#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""What clients write arrives as it was sent, and is there once they are told: sizes,
blocks, windows, text; options; packets that are lost, that come twice, late or from
strangers; silence. The agent takes all. RFC 1350, 2347 to 2349 and 7440.
"""

import contextlib
import random
import struct
import time

from lib import (
    WORK, Ack, Client, Code, Error, Growth, Oack, Op, Transfer, Unexpected, between, content, data,
    during, equal, headers, idle, inside, listening, make, netem, note, raw, run, same, served, settings,
    test,
)
from lib.agent import attached, inbox
from lib.genl import u32, u64
from lib.tftp import error
from lib.upload import Upload, netascii, upload

INBOX = WORK / "inbox"
DATA = content(40_000)
WINDOW = (("blksize", 1024), ("windowsize", 8))


def puts(server, name, wanted, *options, **more):
    """A whole upload. When it is over the file is there, and nobody else's."""
    with Client(server) as client:
        done = upload(client, name, wanted, *options, **more)
    same(wanted, (INBOX / name).read_bytes())
    return done


# ---- what is written is there ----


def sizes(blksize, window):
    """Around nothing, a block, a window, and several."""
    one = blksize * window
    return sorted({0, 1, blksize - 1, blksize, blksize + 1, one - 1, one, one + 1, 3 * one, 5 * one + 3})


@test(
    "blocks of {0}, windows of {1}",
    cases=[(512, 1), (512, 4), (512, 16), (512, 64), (1428, 1), (1428, 16), (8, 64)],
)
def _(server, blksize, window):
    agent = during(inbox())
    options = () if (blksize, window) == (512, 1) else (("blksize", blksize), ("windowsize", window))
    for size in sizes(blksize, window):
        growth = Growth()
        done = puts(server, f"{size}", content(size, size + 1), *options)
        growth.expect(
            uploads_stored=1,
            data_received=done.last,
            data_ignored=0,
            transfers_started=1,
            transfers_completed=1,
            transfers_failed=0,
            transfers_aborted=0,
            writes_refused=0,
            acks_held=0,
            transfers_active=0,
        )
    # Each is asked once, in that order.
    each = ["accept", "open", "commit"]
    equal("questions", each * len(sizes(blksize, window)), [kind for kind, _ in agent.asked])


@test("more than 65,535 blocks, {0} comes after 65,535", ("IPv4",), (0, 1))
def _(server, rollover):
    during(inbox())
    wanted = random.Random(rollover).randbytes(65_540 * 8 + 3)
    with Client(server) as client:
        options = (("blksize", 8), ("windowsize", 64), *[("rollover", 1)] * rollover)
        done = Upload(client, wanted, rollover).ask("long", *options).begin()
        equal("rollover", str(rollover) if rollover else None, done.oack.get("rollover"))
        done.hurry()
        client.peer = None
    same(wanted, (INBOX / "long").read_bytes())


@test("who says nothing of the block after 65,535 may count on by 1", ("IPv4",))
def _(server):
    """Only the end of the window shows that no block 0 was lost."""
    during(inbox())
    wanted = random.Random(2).randbytes(65_540 * 8)
    with Client(server) as client:
        one = Upload(client, wanted, 1).ask("long", ("blksize", 8), ("windowsize", 64)).begin().hurry(65_472)
        one.send()
        one.confirm(65_535)
        one.finish()
    same(wanted, (INBOX / "long").read_bytes())


@test("a single port, several uploads of one client by it")
def _(server):
    during(inbox())
    during(listening("* --single-port"))
    growth = Growth()
    ones = [Upload(during(Client(server)), DATA[: 20_000 + n]).ask(f"n{n}", *WINDOW).begin() for n in range(3)]
    for one in ones:
        equal("port", 69, one.client.peer[1])
        one.step()
    for n, one in enumerate(ones):
        one.rest().finish()
        same(one.content, (INBOX / f"n{n}").read_bytes())
        # Its last ACK was lost.
        time.sleep(0.1)
        one.client.peer = one.client.listener
        one.send(one.last)
        one.confirm(one.last)
        one.client.peer = None
    growth.expect(uploads_stored=3, transfers_failed=0, data_ignored=0)


TEXTS = {
    "nothing": b"",
    "LF": b"\n",
    "CR": b"\r",
    "lines": b"one\ntwo\r\nthree\rfour\n\n\r\r\n",
    "LF split": b"x" * 511 + b"\n" + b"y" * 100,
    "CR split": b"x" * 511 + b"\rnext",
    "CR last of a block": b"x" * 510 + b"\r",
    "LF last of a block": b"x" * 510 + b"\n",
    "full blocks": b"x" * 1024,
    "only LF": b"\n" * 5000,
    "only CR": b"\r" * 5000,
}
# On the wire, and what comes of it: none of these is netascii.
ODD = {
    "CR and a letter": (b"a\rb", b"a\rb"),
    "CR at the end": (b"a\r", b"a\r"),
    "LF alone": (b"a\nb", b"a\nb"),
    "CR CR LF": (b"\r\r\n", b"\r\n"),
    "NUL alone": (b"a\0b", b"a\0b"),
}


@test("netascii: line ends, also where they are split between blocks")
def _(server):
    agent = during(inbox())
    texts = [(octets, netascii(octets)) for octets in TEXTS.values()]
    texts += [(octets, wire) for wire, octets in ODD.values()]
    for octets, wire in texts:
        small = (("blksize", 8), ("windowsize", 4))
        for options in ((), (("blksize", 513), ("windowsize", 16)), *[small] * (len(wire) < 1200)):
            with Client(server) as client:
                upload(client, "text", wire, *options, mode="netascii")
            same(octets, (INBOX / "text").read_bytes())
            equal("size", len(octets), u64(agent.asked[-1][1]["size"]))


@test("a name of any bytes is the agent's to judge")
def _(server):
    agent = during(inbox(commit=lambda _: {"welcome": True}))
    for name in (b"of \xff\xfe bytes", "../up", "/etc/passwd", "a\\b", "n" * 400):
        with Client(server) as client:
            upload(client, name, b"x")
        equal("name", raw(name) + b"\0", agent.asked[-1][1]["name"])


@test("20 uploads of one client at one time")
def _(server):
    during(inbox())
    parts = [content(20_000, n + 1) for n in range(20)]
    clients = [during(Client(server)) for _ in parts]
    uploads = [Upload(c, p).ask(f"n{n}", *WINDOW).begin() for n, (c, p) in enumerate(zip(clients, parts))]
    while uploads:
        for one in uploads:
            one.step()
            if one.acked == one.last:
                one.client.peer = None
        uploads = [one for one in uploads if one.acked < one.last]
    for n, wanted in enumerate(parts):
        same(wanted, (INBOX / f"n{n}").read_bytes())


@test("uploads while the same name is downloaded")
def _(server):
    during(inbox())
    make("both", DATA)
    with Client(server) as reader, Client(server) as writer:
        down = Transfer(reader, "both", *WINDOW).step(8)
        up = Upload(writer, DATA[::-1]).ask("both", *WINDOW).begin().step()
        down.step(8)
        up.finish()
        same(DATA, down.finish())
    same(DATA[::-1], (INBOX / "both").read_bytes())


# ---- options ----


def grants(server, *options):
    """The options of the OACK, or another answer."""
    with Client(server) as client:
        client.request("file", options, op=Op.WRQ)
        packet = client.receive()
        client.error()
        client.peer = None
    return dict(packet.options) if isinstance(packet, Oack) else packet


@test("options are granted as for reading, echoed in their order, and no others")
def _(server):
    during(inbox())
    room = 1500 - headers(server)
    for asked, wanted in (
        ((), Ack(0)),
        ((("blksize", 1024),), {"blksize": "1024"}),
        ((("BLKSIZE", 65464),), {"blksize": str(room)}),
        ((("blksize", 7),), Ack(0)),
        ((("windowsize", 16),), {"windowsize": "16"}),
        ((("windowsize", 65535),), {"windowsize": "64"}),
        ((("timeout", 3),), {"timeout": "3"}),
        ((("timeout", 256),), Ack(0)),
        ((("utimeout", 500_000),), {"utimeout": "500000"}),
        ((("tsize", 12345),), {"tsize": "12345"}),
        ((("tsize", 0),), {"tsize": "0"}),
        ((("rollover", 1),), {"rollover": "1"}),
        ((("unknown", 1), ("tsize", 5), ("windowsize", 2), ("blksize", 512)),
         {"tsize": "5", "windowsize": "2", "blksize": "512"}),
    ):
        got = grants(server, *asked)
        equal(f"answer to {asked}", wanted, got)
        if isinstance(wanted, dict):
            equal("order", list(wanted), list(got))


@test("the question tells what the client says of its file")
def _(server):
    agent = attached(uploads=True)
    for options, wanted in (
        ((), {}),
        (
            (("tsize", 7), ("blksize", 99), ("windowsize", 3), ("timeout", 2)),
            {"size": 7, "block_size": 99, "window_size": 3, "timeout": 2_000_000},
        ),
    ):
        with Client(server) as client:
            client.request("file", options, op=Op.WRQ)
            question = agent.question("accept")
            got = {key: (u64 if key == "size" else u32)(question[key])
                   for key in ("size", "block_size", "window_size", "timeout") if key in question}
            equal("what it says", wanted, got)
            equal("transfer", True, "transfer" in question)
            agent.answer(question, error_code=2)
            client.expect(Error, code=2)
            client.peer = None


@test("max-size: what says that it is larger is refused before a byte is taken")
def _(server):
    agent = during(inbox(accept=lambda _: {"welcome": True, "max_size": 3000}))
    growth = Growth()
    for size, wanted in ((3000, {"tsize": "3000"}), (3001, Code.FULL), (1 << 40, Code.FULL)):
        got = grants(server, ("tsize", size))
        equal(f"answer to {size}", wanted, got if isinstance(got, dict) else got.code)
    growth.expect(data_received=0, transfers_active=0)
    equal("files", 0, agent.times("open"))


@test("max-size: not a byte more is taken, whatever was said, windows of {0}", cases=(1, 8))
def _(server, windowsize):
    during(inbox(accept=lambda _: {"welcome": True, "max_size": 3000}))
    puts(server, "fits", DATA[:3000], ("windowsize", windowsize))
    (INBOX / "fits").unlink()
    for options in ((), (("tsize", 100),)):
        with Client(server) as client:
            ask = Upload(client, DATA[:6000]).ask("file", ("windowsize", windowsize), *options).begin()
            with contextlib.suppress(Unexpected):
                while ask.acked < ask.last:
                    ask.step()
            equal("blocks that were acknowledged", True, ask.acked <= 5)
            # Once, however much of the window came behind it.
            packets = [packet for _, packet in client.arrived(0.1)]
            equal("what else comes", [], [packet for packet in packets if not isinstance(packet, Error)])
            client.peer = None
        idle()
        equal("files", [], list(INBOX.iterdir()))


@test("max-size: the client hears why")
def _(server):
    during(inbox(accept=lambda _: {"welcome": True, "max_size": 1000}))
    with Client(server) as client:
        one = Upload(client, DATA[:2000]).ask("file").begin().step()
        one.send(2)
        client.expect(Error, code=Code.FULL)
        client.peer = None


@test("netascii: max-size is that of the file")
def _(server):
    during(inbox(accept=lambda _: {"welcome": True, "max_size": 600}))
    with Client(server) as client:
        upload(client, "text", netascii(b"\n" * 600), mode="netascii")
    equal("size", 600, (INBOX / "text").stat().st_size)


@test("strict-options: a malformed one is refused by ERROR 8")
def _(server):
    during(inbox())
    with settings(strict_options=True):
        equal("code", Code.OPTION, grants(server, ("blksize", "x")).code)


# ---- packets that are lost, doubled and strange ----


def begun(server, *options, name="file", size=len(DATA)):
    """An upload whose first window is written."""
    client = during(Client(server))
    return Upload(client, DATA[:size]).ask(name, *(options or WINDOW)).begin().step()


def ends(one, name="file"):
    one.finish()
    same(one.content, (INBOX / name).read_bytes())


@test("a block is lost: what is in front of it is acknowledged, once")
def _(server):
    during(inbox())
    growth, one = Growth(), begun(server)
    for lost in (1, 3, 8):
        first, last = one.acked + 1, one.end
        for block in range(first, last + 1):
            if block != one.acked + lost:
                one.send(block)
        # The last block's loss is seen by nobody else.
        one.confirm(first + lost - 2)
        one.client.expect_silence(0)
    ends(one)
    growth.expect(data_received=one.last, data_ignored=7 + 5)


@test("every block comes twice")
def _(server):
    during(inbox())
    one = begun(server)
    for _ in range(3):
        for block in range(one.acked + 1, one.end + 1):
            one.send(block)
            one.send(block)
        one.confirm()
    one.client.expect_silence(0.02)
    ends(one)


@test("in lock step a copy of the last block gets its ACK again, unless it comes right after that")
def _(server):
    """The network copied it then, and who answers both ACKs would send all twice."""
    during(inbox())
    growth, one = Growth(), begun(server, ("blksize", 1024))
    for _ in range(3):
        one.step()
        one.send(one.acked)
        one.client.expect_silence(0.1)
        one.send(one.acked)
        one.confirm(one.acked)
    growth.expect(data_received=4, data_ignored=6)
    ends(one)


@test("in windows a copy of the last block that was acknowledged is ignored")
def _(server):
    during(inbox())
    growth, one = Growth(), begun(server)
    for _ in range(3):
        one.send(one.acked)
    growth.expect(data_ignored=3)
    ends(one)


@test("blocks long gone are not answered")
def _(server):
    during(inbox())
    one = begun(server).step(2)
    growth = Growth()
    for block in (1, 5, 9):
        one.send(block)
    growth.expect(data_ignored=3)
    one.client.expect_silence(0)
    ends(one)


@test("blocks beyond the window, and numbers of nowhere, are ignored")
def _(server):
    during(inbox())
    growth, one = Growth(), begun(server)
    block = data(0, DATA[:1024])[4:]
    beyond = (one.acked + 9, one.acked + 100, 0, 32_767, 40_000, 65_535)
    for number in beyond:
        one.client.send(data(number, block))
    growth.expect(data_ignored=len(beyond))
    one.client.expect_silence(0)
    ends(one)


@test("DATA larger than granted is ignored")
def _(server):
    during(inbox())
    growth, one = Growth(), begun(server)
    for more in (1, 400):
        one.client.send(data(one.acked + 1, DATA[: 1024 + more]))
    growth.expect(data_ignored=2)
    one.client.expect_silence(0)
    ends(one)


@test("ACK and OACK of who writes, and DATA of who reads, are ignored")
def _(server):
    during(inbox())
    make("read", DATA)
    one = begun(server)
    with Client(server) as reader:
        down = Transfer(reader, "read", *WINDOW).step(7)
        reader.send(data(1, b"x"))
        reader.send(data(8, b"x" * 1024))
        for block in (0, one.acked, one.acked + 1, 65_535):
            one.client.ack(block)
        one.client.send(struct.pack("!H", Op.OACK) + b"tsize\0" b"5\0")
        one.client.expect_silence(0.02)
        ends(one)
        same(DATA, down.finish())


@test("DATA that is too short to be DATA is ignored")
def _(server):
    during(inbox())
    one = begun(server)
    for packet in (b"\0\3", b"\0\3\0", b"\0"):
        one.client.send(packet)
    one.client.expect_silence(0.02)
    ends(one)


@test("a stranger's DATA gets ERROR 5 and does not disturb")
def _(server):
    during(inbox())
    growth, one = Growth(), begun(server)
    with Client(server) as other, Client(server) as third:
        for client in (other, third):
            client.send(data(one.acked + 1, b"x" * 1024), to=one.client.peer)
            client.expect(Error, code=Code.TID)
            client.peer = None
        other.send(error(0, "stop"), to=one.client.peer)
        # The same from another address.
        with inside("server"), Client(server, source_port=one.client.port) as away:
            away.send(data(one.acked + 1, b"x" * 1024), to=one.client.peer)
            away.expect(Error, code=Code.TID)
            away.peer = None
        ends(one)
    growth.expect(packets_strange=3, transfers_aborted=0)


@test("DATA of no upload gets ERROR 5, or nothing")
def _(server):
    during(inbox())
    growth = Growth()
    with Client(server) as client:
        client.send(data(1, b"x"))
        packets = client.arrived(0.05)
        equal("answers", [], [p for _, p in packets if not isinstance(p, Error) or p.code != Code.TID])
        client.peer = None
    growth.expect(packets_unknown=1, packets_malformed=0, transfers_active=0)


@test("the last block comes again after the end: so does its ACK, and nothing else happens")
def _(server):
    agent = during(inbox())
    for size in (20_000, 100, 0):
        growth = Growth()
        with Client(server) as client:
            one = upload(client, f"of {size}", DATA[:size], *WINDOW)
            client.peer = client.sender
            for pause in (0, 0.2, 0.5):
                time.sleep(pause)
                one.send(one.last)
                one.confirm(one.last)
            client.peer = None
        growth.expect(uploads_stored=1, transfers_completed=1, transfers_failed=0, transfers_aborted=0)
        same(DATA[:size], (INBOX / f"of {size}").read_bytes())
    equal("commits", 3, agent.times("commit"))


SPOILT = ("loss 5%", "duplicate 20%", "delay 1ms reorder 20%", "delay 3ms loss 2% duplicate 5% reorder 5%")


@test(
    "{0}, windows of {1}: whole nevertheless",
    ("IPv4",),
    [(words, window) for words in SPOILT for window in (1, 16)],
    timed=True,
)
def _(server, words, window):
    during(inbox())
    with netem(words), netem(words, "server", "to-client"), Client(server) as client:
        one = Upload(client, DATA * 2).ask("file", ("blksize", 1024), ("windowsize", window)).insist()
        note(f"{one.timeouts} timeouts")
    same(DATA * 2, (INBOX / "file").read_bytes())


# ---- silence ----


@test("silence within a window: what has come is acknowledged after two round trips", timed=True)
def _(server):
    during(inbox())
    with netem("delay 20ms"):
        one = begun(server).step(2)
        for lost in (4, 8):
            sent = time.time()
            for block in range(one.acked + 1, one.acked + lost):
                one.send(block)
            one.confirm(one.acked + lost - 1)
            between("seconds", 0.055, one.client.at - sent, 0.2)
        ends(one)


@test("in lock step silence is the client's to end", timed=True)
def _(server):
    during(inbox())
    one = begun(server, ("blksize", 1024))
    one.client.expect_silence(4)
    ends(one)


@test("a window that does not begin is not asked for at once, nor often", timed=True)
def _(server):
    during(inbox())
    one = begun(server).step(2)
    packets = one.client.arrived(12)
    equal("what comes", {Ack(one.acked)}, {packet for _, packet in packets})
    waits = [after - before for (before, _), (after, _) in zip(packets, packets[1:])]
    note(f"waits of {', '.join(f'{wait:.2f}' for wait in waits)} s")
    for before, after in zip(waits, waits[1:]):
        between("wait", min(1.8 * before, 4.9), after, min(2.4 * before, 5.8))
    ends(one)


@test("a lost OACK comes again", timed=True)
def _(server):
    during(inbox())
    with Client(server) as client:
        one = Upload(client, DATA).ask("file", *WINDOW)
        one.begin()
        again = [packet for _, packet in client.arrived(3.5)]
        equal("what comes", [Oack] * len(again), [type(packet) for packet in again])
        between("copies", 1, len(again), 3)
        one.finish()
    same(DATA, (INBOX / "file").read_bytes())


run(served())
