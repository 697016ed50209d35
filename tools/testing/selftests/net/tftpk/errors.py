# SPDX-License-Identifier: GPL-2.0
"""Refusals, malformed packets and options, by the packet."""

import contextlib
import ctypes
import os
import struct
import subprocess
import threading

from testbed import SRV, Growth, ctl, equal, run, test
from tftp_packet import Client, Code, Data, Error, Oack, Op, ack, data, error, request

CONTENT = (SRV / "file").read_bytes()
# Nothing of these may be in what the server sends to those who are refused.
PRIVATE = [part for part in str(SRV).split("/") if part] + ["/", "outside", "not served"]


def served(client, name, content=CONTENT):
    """The name stands for that content."""
    client.request(name)
    client.expect(Data, block=1, payload=content)
    client.ack(1)


def refused(server, packet, code, **counted):
    """A request that is answered by that ERROR and by nothing else."""
    growth = Growth()
    with Client(server) as client:
        client.send(packet)
        answer = client.expect(Error, code=code)
        told = [word for word in PRIVATE if word in answer.text]
        equal(f"in the text '{answer.text}'", [], told)
        equal("text is printable", True, answer.text.isprintable() and bool(answer.text))
        # Whatever else it sent is in front of this.
        served(client, "file")
    growth.expect(
        **{"transfers_started": 1, "transfers_completed": 1, "transfers_active": 0} | counted
    )


NOT_FOUND = {
    "in the root": "nothing",
    "in a folder": "folder/nothing",
    "in no folder": "nothing/file",
    "beneath a file": "file/file",
    "of another case": "FILE",
    "of the longest name": "n" * 255,
    "of a longer name": "n" * 256,
    "far beneath": "d/" * 600 + "file",
    "behind a link to itself": "loop",
    "behind a backslash": "\\nothing",
    "with a blank": " file",
    "with a newline": "file\n",
    "of no UTF-8": b"\xff\xfe",
    "of a format string": "%s%n",
}


@test("no such file, {0}", cases=list(NOT_FOUND))
def not_found(server, where):
    refused(server, request(NOT_FOUND[where]), Code.NOT_FOUND, requests_refused=1, requests=2)


UP = "../" * 20
OUTSIDE = {
    "by ..": "../outside",
    "by /..": "/../outside",
    "by a folder's ..": "folder/../../outside",
    "by .. and back": "../srv/../outside",
    "by a backslash": "..\\outside",
    "by its path": str(SRV.parent / "outside"),
    "by its path from the root": UP + str(SRV.parent / "outside")[1:],
    "in /etc, by its path": "/etc/passwd",
    "in /etc, by ..": UP + "etc/passwd",
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


@test("outside of the export, {0}", cases=list(OUTSIDE))
def outside(server, how):
    refused(server, request(OUTSIDE[how]), Code.NOT_FOUND, requests_refused=1, requests=2)


@test(
    "inside of the export: {0!r}",
    cases=[
        ("file", "root"),
        ("/file", "root"),
        ("//file", "root"),
        ("./file", "root"),
        ("../file", "root"),
        ("../../../file", "root"),
        ("folder/../file", "root"),
        ("folder/file", "folder"),
        ("/folder//file", "folder"),
        ("folder\\file", "folder"),
        ("\\folder\\file", "folder"),
        ("absolute-in", "folder"),
        ("relative-in", "folder"),
        ("folder/../absolute-in", "folder"),
        ("bound/mounted", "mounted folder"),
        ("bound/../file", "root"),
        ("0" * 255, "longest name"),
        (b"\xff\xfe \xe9", "no text"),
    ],
)
def inside(server, name, where):
    with Client(server) as client:
        the = "" if where.startswith("no ") else "the "
        served(client, name, f"what {the}{where} holds\n".encode())


@test(
    "not for reading: {0}",
    cases=[
        "secret",
        "owned",
        "private/file",
        "private/nothing",
        "folder",
        ".",
        "/",
        "..",
        "fifo",
        "device",
        "disk",
        "socket",
        # A way out that the name does not show: /proc/self/root, and the same
        # by a link.
        "proc/self/root/etc/passwd",
        "magic-out",
    ],
)
def unreadable(server, name):
    refused(server, request(name), Code.ACCESS, requests_refused=1, requests=2)


libc = ctypes.CDLL(None, use_errno=True)
AT_FDCWD = -100
RENAME_EXCHANGE = 2


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


SWAPS = {
    "a file, by a link to outside": ("swap", "swap-link", "swap", True),
    "a folder, by a link to one outside": ("swap-folder", "swap-folder-link", "swap-folder/file", True),
    "a folder, by one outside": ("roaming", "../abroad", "roaming/in/../../outside", False),
}


@test("swapped while it is opened: {0}", families=("IPv4",), cases=list(SWAPS))
def swapped(server, what):
    one, other, name, both = SWAPS[what]
    inside_seen = refused_seen = 0
    with swapping(SRV / one, SRV / other):
        for _ in range(300):
            with Client(server) as client:
                client.request(name)
                answer = client.receive()
                if isinstance(answer, Data):
                    equal("content", b"what is inside\n", answer.payload)
                    client.ack(1)
                    inside_seen += 1
                elif isinstance(answer, Error):
                    refused_seen += 1
                else:
                    raise AssertionError(f"got {answer}")
    equal("some were refused", True, refused_seen > 0)
    equal("some were served", both, inside_seen > 0)


@test("a user that may read it is served")
def other_user(server):
    ctl("unexport", str(SRV))
    try:
        ctl("export", str(SRV), "--uid", "0", "--gid", "0")
        with Client(server) as client:
            served(client, "secret", (SRV / "secret").read_bytes())
            # Root is a user like others: it has no capability here.
            client.request("owned")
            client.expect(Error, code=Code.ACCESS)
    finally:
        ctl("unexport", str(SRV))
        ctl("export", str(SRV))
    refused(server, request("secret"), Code.ACCESS, requests_refused=1)


@test("mail is refused")
def mail(server):
    refused(server, request("file", mode="mail"), Code.OPERATION, requests_refused=1)


# ---- writing ----


@test(
    "a write is refused: {0!r}, {1}",
    cases=[
        ("upload/new", "octet"),
        ("upload/old", "octet"),
        ("upload/old", "netascii"),
        ("nothing/new", "octet"),
    ],
)
def write(server, name, mode):
    before = sorted((p.name, p.read_bytes()) for p in (SRV / "upload").iterdir())
    packet = request(name, {"tsize": 5, "blksize": 1024}, mode, Op.WRQ)
    refused(server, packet, Code.ACCESS, writes_refused=1, requests=1, requests_refused=0)
    equal("files", before, sorted((p.name, p.read_bytes()) for p in (SRV / "upload").iterdir()))


@test("curl cannot upload")
def curl_upload(server):
    growth = Growth()
    host = f"[{server}]" if ":" in server else server
    done = subprocess.run(
        ["curl", "-gsST", str(SRV / "file"), f"tftp://{host}/upload/new"],
        capture_output=True,
        check=False,
    )
    # "Access violation on TFTP server"
    equal("status of curl", 69, done.returncode)
    growth.expect(writes_refused=1)
    equal("file was made", False, (SRV / "upload/new").exists())


# ---- what is no TFTP ----

RRQ = struct.pack("!H", Op.RRQ)
WRQ = struct.pack("!H", Op.WRQ)

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
    "no mode": RRQ + b"file\0",
    "a mode without end": RRQ + b"file\0octet",
    "an empty name": RRQ + b"\0octet\0",
    "an empty mode": RRQ + b"file\0\0",
    "an unknown mode": RRQ + b"file\0binary\0",
    "a mode that continues": RRQ + b"file\0octets\0",
    "a write without mode": WRQ + b"file\0",
    "a write to an empty name": WRQ + b"\0octet\0",
    "nothing but zeros": b"\0" * 512,
    "a request that never ends": RRQ + b"a" * 1400 + b"\0octet\0",
    "a request with too many options": RRQ + b"file\0octet\0" + b"blksize\0" b"512\0" * 200,
    "DATA": data(1, b"x" * 512),
    "an OACK": struct.pack("!H", Op.OACK) + b"tsize\0" b"5\0",
}


@test("not TFTP, so dropped and counted: {0}", cases=list(MALFORMED))
def malformed(server, what):
    growth = Growth()
    with Client(server) as client:
        client.send(MALFORMED[what])
        # An answer to it would come before this one's.
        served(client, "file")
    growth.expect(
        packets_malformed=1, requests=1, requests_refused=0, writes_refused=0, transfers_completed=1
    )


@test("a request to a transfer's port is dropped and counted")
def request_elsewhere(server):
    growth = Growth()
    with Client(server) as client:
        served(client, "file")
        client.send(request("file"), to=client.peer)
        served(client, "file")
    growth.expect(packets_malformed=1, requests=2, transfers_completed=2)


@test("an ACK that belongs to no transfer gets ERROR 5")
def stray_ack(server):
    growth = Growth()
    with Client(server) as client:
        for block in (1, 0):
            client.send(ack(block))
            client.expect(Error, code=Code.TID)
            client.peer = None
        served(client, "file")
    growth.expect(packets_unknown=2, packets_malformed=0, requests=1, transfers_completed=1)


@test("what comes late or is an ERROR is not answered: {0}", cases=["ACK", "ERROR"])
def late(server, what):
    packet = {"ACK": ack(1), "ERROR": error(Code.UNDEFINED, "stray")}[what]
    growth = Growth()
    with Client(server) as client:
        served(client, "file")
        growth.expect(transfers_completed=1)
        client.send(packet)
        if what == "ERROR":
            client.send(packet, to=client.listener)
        served(client, "file")
    growth.expect(
        packets_unknown=2 if what == "ERROR" else 1,
        packets_malformed=0,
        requests=2,
        transfers_completed=2,
    )


@test("a client's ERROR {0:d} ends its transfer and is not answered", cases=list(Code))
def client_error(server, code):
    # To ask for the size and to leave is no failure.
    probe = code in (Code.UNDEFINED, Code.OPTION)
    growth = Growth()
    with Client(server) as client:
        client.request("file", {"tsize": 0})
        client.expect(Oack)
        client.error(code, "no more, thanks")
        growth.expect(
            clients_probing=int(probe),
            transfers_aborted=int(not probe),
            transfers_failed=0,
            transfers_active=0,
        )
        client.expect_silence(0)
        served(client, "file")


# ---- options ----

OPTIONS = [
    # what is asked, what is granted; None where no OACK is to come
    ("", None),
    ("unknown 1", None),
    ("unknown 1 blksize 1024", "blksize 1024"),
    ("blksize 1024 unknown 1 tsize 0 more 2", "blksize 1024 tsize SIZE"),
    ("BLKSIZE 1024", "blksize 1024"),
    ("BlkSize 600 TSIZE 0", "blksize 600 tsize SIZE"),
    ("blksize 8", "blksize 8"),
    ("blksize 7", None),
    ("blksize 0", None),
    ("blksize 65464", "blksize MTU"),
    ("blksize 65465", None),
    ("blksize 65536", None),
    ("blksize 66048", None),  # 512 in 16 bits
    ("blksize 4294967808", None),  # and in 32
    ("blksize 18446744073709552128", None),  # and in 64
    ("blksize 99999999999999999999999999999999", None),
    ("blksize -512", None),
    ("blksize +512", None),
    ("blksize 0x200", None),
    ("blksize 512x", None),
    ("blksize 51.2", None),
    ("blksize x tsize 0", "tsize SIZE"),
    ("blksize 600 blksize 700", "blksize 600"),
    ("blksize 7 blksize 700", None),
    ("timeout 1", "timeout 1"),
    ("timeout 255", "timeout 255"),
    ("timeout 0", None),
    ("timeout 256", None),
    ("timeout 3000 tsize 0", "tsize SIZE"),
    ("tsize 0", "tsize SIZE"),
    ("tsize 12345", "tsize SIZE"),
    ("tsize x", None),
    ("windowsize 1", "windowsize 1"),
    ("windowsize 64", "windowsize 64"),
    ("windowsize 65535", "windowsize 64"),
    ("windowsize 0", None),
    ("windowsize 65536", None),
    ("windowsize 4 timeout 2 blksize 512 tsize 0", "windowsize 4 timeout 2 blksize 512 tsize SIZE"),
]


@test("options asked: {0!r}, granted: {1!r}", cases=OPTIONS)
def options(server, asked, granted):
    words = asked.split()
    with Client(server) as client:
        client.request("file", list(zip(words[::2], words[1::2])))
        if granted is None:
            client.expect(Data, block=1, payload=CONTENT)
            client.ack(1)
            return
        mtu = 1500 - (40 if ":" in server else 20) - 8 - 4
        words = granted.replace("SIZE", str(len(CONTENT))).replace("MTU", str(mtu)).split()
        oack = client.expect(Oack, options=tuple(zip(words[::2], words[1::2])))
        client.ack(0)
        blksize = int(dict(oack.options).get("blksize", 512))
        equal("content", CONTENT, client.resume(1, 1, blksize))


ODD_ENDS = {
    "a name without value": b"tsize\0",
    "a value without end": b"tsize\0" b"0",
    "an empty name": b"\0" b"0\0",
    "an empty value": b"blksize\0\0",
    "a value with a blank": b"blksize\0 512\0",
    "zeros": b"\0" * 100,
    "noise": bytes(range(1, 256)),
}


@test("a request that ends with {0} has no option", cases=list(ODD_ENDS))
def odd_ends(server, what):
    with Client(server) as client:
        client.send(request("file") + ODD_ENDS[what])
        client.expect(Data, block=1, payload=CONTENT)
        client.ack(1)
        # The same end behind a good option leaves that alone.
        client.request("file", {"blksize": 600})
        client.expect(Oack, options=(("blksize", "600"),))
        client.error()
    with Client(server) as client:
        client.send(request("file", {"timeout": 9}) + ODD_ENDS[what])
        client.expect(Oack, options=(("timeout", "9"),))
        client.error()


@test("the size of an empty file is left out")
def empty_file(server):
    with Client(server) as client:
        client.request("empty", {"tsize": 0})
        client.expect(Data, block=1, payload=b"")
        client.ack(1)
        client.request("empty", {"tsize": 0, "blksize": 1024})
        client.expect(Oack, options=(("blksize", "1024"),))
        client.ack(0)
        client.expect(Data, block=1, payload=b"")
        client.ack(1)


if __name__ == "__main__":
    run()
