#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""What is asked for: names, modes, who may read, and what is refused or no TFTP.
RFC 1350.
"""

import contextlib
import ctypes
import os
import random
import stat
import struct
import threading
import time

from lib import (
    SRV, WORK, Client, Code, Data, Error, Growth, Op, Transfer, ack, between, content, ctl, data,
    equal, error, execute, exported, fetch, libc, make, mounted, quiet, raw, request, run, same,
    served, settings, test,
)
from lib.clients import url

RRQ = struct.pack("!H", Op.RRQ)
WRQ = struct.pack("!H", Op.WRQ)

FILE = make("file", b"what the root holds\n")
BIG = make("big", content(10_000))
# Nothing of these may be in what the server sends to those who are refused.
PRIVATE = [part for part in str(SRV).split("/") if part] + ["/", "outside", "not served"]


def gets(client, name, wanted=FILE):
    """The name stands for that content, of one block."""
    client.request(name)
    client.expect(Data, block=1, payload=wanted)
    client.ack(1)
    client.peer = None


def refused(server, packet, code, **counted):
    """A request that is answered by that ERROR and by nothing else."""
    growth = Growth()
    with Client(server) as client:
        client.send(packet)
        answer = client.expect(Error, code=code)
        equal(f"in the text '{answer.text}'", [], [word for word in PRIVATE if word in answer.text])
        equal("text is printable", True, answer.text.isprintable() and bool(answer.text))
        # Whatever else it sent is in front of this.
        gets(client, "file")
    growth.expect(transfers_started=1, transfers_completed=1, transfers_active=0, **counted)


# ---- no such file ----

NOT_FOUND = {
    "in the root": "nothing",
    "in a folder": "folder/nothing",
    "in no folder": "nothing/file",
    "beneath a file": "file/file",
    "of another case": "FILE",
    "of the longest name": "m" * 255,
    "of a longer name": "n" * 256,
    "far beneath": "d/" * 600 + "file",
    "behind a link to itself": "loop",
    "behind a backslash": "\\nothing",
    "with a blank": " file",
    "of no UTF-8": b"\xff\xfe",
    "of a format string": "%s%n",
    "of nothing but rubbish": b"\xff\xd1\x33",
    "before rubbish": b"nothing\xff",
    "of a folder before rubbish": b"folder\xff",
    "of a folder's file before rubbish": b"folder/\xfffile",
}


@test("no such file, {0}", cases=NOT_FOUND.items())
def _(server, _, name):
    refused(server, request(name), Code.NOT_FOUND, requests_refused=1, requests=2)


# ---- the export is the root ----

# Readable by all, and ways that seem to lead there.
ELSEWHERE = WORK / "elsewhere"
for path in (WORK / "outside", ELSEWHERE / "file"):
    path.parent.mkdir(exist_ok=True)
    path.write_text("what is not served\n", encoding="ascii")
for name, target in {
    "absolute-out": WORK / "outside",
    "relative-out": "../outside",
    "far-out": "../../../../../../../../etc/passwd",
    "folder-out": ELSEWHERE,
    "magic-out": "proc/self/root/etc/passwd",
    "absolute-in": "/folder/file",
    "relative-in": "folder/../folder/file",
    "loop": "loop",
}.items():
    (SRV / name).symlink_to(target)

UP = "../" * 20
OUTSIDE = {
    "by ..": "../outside",
    "by /..": "/../outside",
    "by a folder's ..": "folder/../../outside",
    "by .. and back": "../srv/../outside",
    "by a backslash": "..\\outside",
    "by its path": f"{WORK}/outside",
    "by its path from the root": f"{UP}{WORK}/outside",
    "in /etc, by its path": "/etc/passwd",
    "in /etc, by ..": f"{UP}etc/passwd",
    "by an absolute link": "absolute-out",
    "by a relative link": "relative-out",
    "by a link to the root": "far-out",
    "by a link to a folder": "folder-out/file",
    "by .. to a folder": "folder/../../elsewhere/file",
    "by .. of what is mounted inside": "bound/../../outside",
    "by .. encoded for URLs": "%2e%2e/outside",
    "by .. in overlong UTF-8": b"\xc0\xae\xc0\xae/outside",
    "by a slash in overlong UTF-8": b"..\xc0\xafoutside",
}


@test("outside of the export, {0}", cases=OUTSIDE.items())
def _(server, _, name):
    refused(server, request(name), Code.NOT_FOUND, requests_refused=1, requests=2)


# The names of files, and other names that lead to them.
INSIDE = {
    "file": ("/file", "//file", "./file", "../file", "../../../file", "folder/../file", "bound/../file"),
    "folder/file": (
        *("/folder//file", "folder\\file", "\\folder\\file", "absolute-in", "relative-in"),
        *("folder/../absolute-in", "boot\\../folder\\file"),
    ),
    # What is mounted inside is inside; its .. is not that of where it came from.
    "bound/mounted": (),
    "boot/x64/wdsnbp.com": ("//boot///x64/./wdsnbp.com", "\\boot\\x64\\wdsnbp.com", "boot\\x64/wdsnbp.com"),
    "with blank": ("/with blank", "\\with blank"),
    # A name that has a backslash is what it is.
    "back\\slash": ("/back\\slash",),
    "back/slash": (),
    "\xe4\u20ac": ("/\xe4\u20ac",),
    b"\xff\xfe \xe9": (b"/\xff\xfe \xe9",),
    "n" * 255: (),
    "-": ("/-",),
}
for name in INSIDE:
    make(os.fsdecode(raw(name)), FILE if name == "file" else b"what is in " + raw(name))
os.rename(SRV / "bound/mounted", ELSEWHERE / "mounted")


@test(
    "inside of the export: {0!r}",
    cases=[(other, name) for name, others in INSIDE.items() for other in (name, *others)],
)
def _(server, name, wanted):
    with Client(server) as client:
        gets(client, name, FILE if wanted == "file" else b"what is in " + raw(wanted))


# What follows a name in DHCP's packet, where a ROM takes that for a string.
RUBBISH = {
    "the end of the options": b"\xff",
    "that and more": b"\xff\xd1\x33\x2a\x47",
    "an option": b"\x06\x04\xc0\xa8\x02\x01\xff",
    "a newline": b"\n",
    "a tab": b"\t2",
    "DEL": b"\x7f",
    "the first byte beyond ASCII": b"\x80",
    "UTF-8": "\xe4.0".encode(),
    "slashes": b"\xff/../x\\y",
    "more than a name may have": b"\x01" + b"x" * 300,
    "as much as a packet holds": b"\xff" * 1300,
}


@test("a name with rubbish behind it: {0}", cases=RUBBISH.items())
def _(server, _, rubbish):
    for name in ("file", "folder/file", "with blank"):
        wanted = FILE if name == "file" else b"what is in " + raw(name)
        for other in (name, f"/{name}", "\\" + name.replace("/", "\\")):
            with Client(server) as client:
                gets(client, raw(other) + rubbish, wanted)
    # A file of the very name comes first.
    whole = os.fsdecode(b"file" + rubbish)
    if len(rubbish) < 100 and "/" not in whole:
        make(whole, b"the very name")
        with Client(server) as client:
            gets(client, raw(whole), b"the very name")
        (SRV / whole).unlink()
    # What may not be read is told as such.
    refused(server, request(b"secret" + rubbish), Code.ACCESS, requests_refused=1)


# ---- who may read ----

(SRV / "private").mkdir(mode=0o700)
SECRET = make("secret", b"what only root may read\n")
for name, owner in (("private/file", 0), ("secret", 0), ("owned", 1000)):
    make(name, SECRET)
    os.chown(SRV / name, owner, owner)
    (SRV / name).chmod(0o600)
for name, kind, device in (
    ("fifo", stat.S_IFIFO, 0),
    ("device", stat.S_IFCHR, os.makedev(1, 3)),
    ("disk", stat.S_IFBLK, os.makedev(7, 0)),
    ("socket", stat.S_IFSOCK, 0),
):
    os.mknod(SRV / name, kind, device)
    (SRV / name).chmod(0o666)


@test(
    "not for reading: {0}",
    cases=[
        *("secret", "owned", "private/file", "private/nothing"),
        *("folder", ".", "/", "..", "fifo", "device", "disk", "socket"),
        # A way out that the name does not show: /proc/self/root, and the same
        # by a link.
        *("proc/self/root/etc/passwd", "magic-out"),
    ],
)
def _(server, name):
    refused(server, request(name), Code.ACCESS, requests_refused=1, requests=2)


@test("a user that may read it is served")
def _(server):
    ctl("unexport", SRV)
    try:
        with exported(SRV, "--uid", 0, "--gid", 0), Client(server) as client:
            gets(client, "secret", SECRET)
            # Root is a user like others: it has no capability here.
            client.request("owned")
            client.expect(Error, code=Code.ACCESS)
            client.peer = None
    finally:
        ctl("export", SRV)
    refused(server, request("secret"), Code.ACCESS, requests_refused=1)


AT_FDCWD = -100
RENAME_EXCHANGE = 2

make("swap", b"what is inside\n")
(SRV / "swap-link").symlink_to(WORK / "outside")
make("swap-folder/file", b"what is inside\n")
(SRV / "swap-folder-link").symlink_to(ELSEWHERE)
for path in (SRV / "roaming/in", WORK / "abroad/in"):
    path.mkdir(parents=True)


@contextlib.contextmanager
def swapping(one, other):
    """Two files change places meanwhile, as fast as it goes."""
    names = [os.fsencode(one), os.fsencode(other)]
    stop = threading.Event()
    swaps = 0

    def swap():
        nonlocal swaps
        while not stop.is_set() or swaps % 2:
            if libc.renameat2(AT_FDCWD, names[0], AT_FDCWD, names[1], RENAME_EXCHANGE):
                raise OSError(ctypes.get_errno(), "renameat2")
            swaps += 1

    thread = threading.Thread(target=swap)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
    equal("they changed places", True, swaps > 1)


@test(
    "swapped while it is opened: {0}",
    families=("IPv4",),
    cases=[
        ("a file, by a link to outside", "swap", "swap-link", "swap", True),
        ("a folder, by a link to one outside", "swap-folder", "swap-folder-link", "swap-folder/file", True),
        ("a folder, by one outside", "roaming", "../abroad", "roaming/in/../../outside", False),
    ],
)
def _(server, _, one, other, name, both):
    answers = set()
    with swapping(SRV / one, SRV / other):
        for _ in range(300):
            with Client(server) as client:
                client.request(name)
                answer = client.receive()
                answers.add(type(answer))
                if isinstance(answer, Data):
                    equal("content", b"what is inside\n", answer.payload)
                    client.ack(1)
                client.peer = None
    equal("answers", {Data, Error} if both else {Error}, answers)


# ---- modes ----


@test("modes in any case")
def _(server):
    for mode in ("OCTET", "Octet", "NETASCII", "NetAscii"):
        with Client(server) as client:
            client.request("big", mode=mode)
            client.expect(Data, block=1)


@test("mail is refused")
def _(server):
    for mode in ("mail", "MAIL"):
        refused(server, request("file", mode=mode), Code.OPERATION, requests_refused=1)
        refused(server, request("user", mode=mode), Code.OPERATION, requests_refused=1)


BAD_MODES = {
    "binary": b"binary\0",
    "nothing at all": b"",
    "an empty mode": b"\0",
    "half a mode": b"octe\0",
    "a mode that continues": b"octets\0",
    "a mode with a blank": b"octet \0",
    "a mode without end": b"octet",
    "octet with rubbish": b"octet\xff\0",
    "a mode of no ASCII": b"\xff\xfe\0",
    "a mode and options": b"binary\0blksize\0" b"1024\0",
    "an endless mode": b"o" * 1000,
}


@test("a mode that is none gets ERROR 4: {0}", cases=BAD_MODES.items())
def _(server, _, mode):
    for name in (b"file\0", b"nothing\0"):
        refused(server, RRQ + name + mode, Code.OPERATION, requests_refused=1, packets_malformed=0)
    refused(server, WRQ + b"file\0" + mode, Code.OPERATION, writes_refused=1, packets_malformed=0)


@test("a mode that is none is answered within what its source may be sent")
def _(server):
    with settings(source_burst=4, source_rate=1), Client(server) as client:
        growth = Growth()
        begun = time.monotonic()
        for _ in range(400):
            client.send(RRQ + b"file\0binary\0", client.listener)
        took = time.monotonic() - begun
        answers = [packet.code for _, packet in client.arrived(0.2)]
        equal("codes", {Code.OPERATION}, {*answers})
        # 128 at once, and in a second.
        between("answers", 128, len(answers), 129 + 128 * took)
        growth.expect(requests_refused=400, requests_limited=400 - len(answers))
        client.peer = None


def netascii(octets):
    """RFC 764: what the network's virtual terminal makes of it."""
    return octets.replace(b"\r", b"\r\0").replace(b"\n", b"\r\n")


def text(size, seed):
    """Words and lines, with more line ends of all kinds than people use."""
    pieces = (b"a", b"word ", b"\n", b"\r", b"\r\n", b"\n\r", b"\0", b"\xff", b"\r\0")
    return b"".join(random.Random(seed).choices(pieces, k=size))[:size]


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
        got = transfer.finish()
        if transfer.oack:
            equal("tsize", None, transfer.oack.get("tsize"))
        return got


@test("netascii: line ends, also where they are split between blocks")
def _(server):
    for name, octets in TEXTS.items():
        make(name, octets)
        same(netascii(octets), fetch_text(server, name))
        if len(octets) < 1000:
            same(netascii(octets), fetch_text(server, name, ("blksize", 8)))
        same(netascii(octets), fetch_text(server, name, ("tsize", 0), ("blksize", 513), ("windowsize", 4)))


@test("netascii: 100,000 bytes in several block sizes")
def _(server):
    octets = make("long", text(100_000, 1))
    growth = Growth()
    for size in (512, 1428, 1000):
        same(netascii(octets), fetch_text(server, "long", ("blksize", size), ("tsize", 0), ("windowsize", 8)))
    # Converted is copied, octets are not.
    copied = growth["bytes_copied"]
    equal("bytes copied", growth["bytes_sent"], copied)
    with Client(server) as client:
        same(octets, fetch(client, "long", ("blksize", 1428)))
    equal("bytes copied", copied, growth["bytes_copied"])


@test("netascii: a block that was lost is sent again as it was", timed=True)
def _(server):
    octets = make("many lines", TEXTS["lines"] * 100)
    wanted = netascii(octets)
    with Client(server) as client:
        client.request("many lines", mode="netascii")
        client.expect(Data, block=1, payload=wanted[:512])
        client.ack(1)
        for _ in range(2):
            client.expect(Data, block=2, payload=wanted[512:1024])
        client.ack(2)
        client.expect(Data, block=3, payload=wanted[1024:1536])


# ---- writing ----

# Whoever may read, may not write by TFTP.
make("upload/old", b"what was there before\n")
(SRV / "upload").chmod(0o777)
(SRV / "upload/old").chmod(0o666)


def uploaded():
    return {path.name: path.read_bytes() for path in (SRV / "upload").iterdir()}


@test(
    "a write is refused: {0!r}, {1}",
    cases=[
        ("upload/new", "octet"),
        ("upload/old", "octet"),
        ("upload/old", "netascii"),
        ("nothing/new", "octet"),
    ],
)
def _(server, name, mode):
    before = uploaded()
    packet = request(name, {"tsize": 5, "blksize": 1024}, mode, Op.WRQ)
    refused(server, packet, Code.ACCESS, writes_refused=1, requests=1, requests_refused=0)
    equal("files", before, uploaded())


@test("curl cannot upload")
def _(server):
    growth, before = Growth(), uploaded()
    done = execute("curl", "-gsST", SRV / "file", url(server, "upload/new"), netns="client")
    # "Access violation on TFTP server"
    equal("status of curl", 69, done.returncode)
    growth.expect(writes_refused=1)
    equal("files", before, uploaded())


# ---- packets ----

MALFORMED = {
    "nothing": b"",
    "one byte": b"\0",
    "an opcode only": RRQ,
    "three bytes": RRQ + b"f",
    "a short ACK": b"\0\4\0",
    "opcode 0": struct.pack("!H", 0) + b"file\0octet\0",
    "opcode 7": struct.pack("!H", 7) + b"file\0octet\0",
    "opcode 256": struct.pack("!H", 256) + b"file\0octet\0",
    "opcode 65535": b"\xff" * 600,
    "an opcode in the other byte order": struct.pack("<H", Op.RRQ) + b"file\0octet\0",
    "a name without end": RRQ + b"file",
    "an empty name": RRQ + b"\0octet\0",
    "a write to an empty name": WRQ + b"\0octet\0",
    "nothing but zeros": b"\0" * 512,
    "a request that never ends": RRQ + b"a" * 1400 + b"\0octet\0",
    "a request with too many options": RRQ + b"file\0octet\0" + b"blksize\0" b"512\0" * 200,
    "an OACK": struct.pack("!H", Op.OACK) + b"tsize\0" b"5\0",
}


@test("not TFTP, so dropped and counted: {0}", cases=MALFORMED.items())
def _(server, _, packet):
    growth = Growth()
    with Client(server) as client:
        client.send(packet)
        # An answer to it would come before this one's.
        gets(client, "file")
    growth.expect(
        packets_malformed=1, requests=1, requests_refused=0, writes_refused=0, transfers_completed=1
    )


@test("requests of more than 512 bytes are served")
def _(server):
    for size in (512, 513, 1400):
        with Client(server) as client:
            name = "/" * (size - 13) + "file"
            equal("length", size, len(request(name)))
            gets(client, name)


@test("ACKs may be longer than four bytes")
def _(server):
    with Client(server) as client:
        client.request("big")
        for block in range(1, 8):
            client.block(block)
            client.send(ack(block) + (b"", b"\0", b"\xff", b"\0\1", b"x" * 500)[block % 5])
        client.block(8)


@test("a request to a transfer's port is dropped and counted")
def _(server):
    growth = Growth()
    with Client(server) as client:
        gets(client, "file")
        client.send(request("file"), to=client.sender)
        quiet(client)
    growth.expect(packets_malformed=1, requests=2, transfers_completed=1)


@test(
    "{0} that belongs to no transfer gets ERROR 5",
    cases=[("an ACK", ack), ("DATA", lambda block: data(block, b"x" * 512))],
)
def _(server, _, packet):
    growth = Growth()
    with Client(server) as client:
        for block in (1, 0):
            client.send(packet(block))
            client.expect(Error, code=Code.TID)
            client.peer = None
    growth.expect(packets_unknown=2, packets_malformed=0, requests=0)


@test("an ERROR that belongs to no transfer is not answered")
def _(server):
    growth = Growth()
    with Client(server) as client:
        gets(client, "file")
        growth.expect(transfers_completed=1, transfers_active=0)
        for to in (client.sender, client.listener):
            client.send(error(Code.UNDEFINED, "stray"), to)
        quiet(client)
    growth.expect(packets_unknown=2, packets_malformed=0, requests=2)


run(
    mounted(SRV / "proc", "-t", "proc", "proc"),
    mounted(SRV / "bound", "--bind", ELSEWHERE),
    served(),
)
