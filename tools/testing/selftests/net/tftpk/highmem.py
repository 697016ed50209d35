#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""Files in pages for which a 32-bit kernel has no address: they are sent as they are, or
copied, and what a program sends of them is written. That they are where they should be
is told by the numbers of their pages; those of a packet socket's ring are the control.
"""

import mmap
import os
import pathlib
import re
import socket
import struct

from lib import (
    SRV, WORK, Client, Growth, content, during, equal, fetch, make, run, same, served, settings,
    skip, test, tmpfs,
)
from lib.agent import inbox
from lib.upload import Upload, netascii

PAGE = mmap.PAGESIZE
PACKET_RX_RING = 5
MSG_MORE = 0x8000
SOL_PACKET = 263
INBOX = WORK / "inbox"

zones = pathlib.Path("/proc/zoneinfo").read_text(encoding="ascii").split("\nNode ")
HIGHMEM = next((int(re.search(r"start_pfn: +(\d+)", zone)[1]) for zone in zones if "zone  HighMem" in zone), 0)
if not HIGHMEM or "HighTotal:             0 kB" in pathlib.Path("/proc/meminfo").read_text(encoding="ascii"):
    skip("this machine has no high memory")


def frames(mapping, name):
    """Numbers of the pages of a mapping, which /proc/self/maps has by this name."""
    pages = -(-len(mapping) // PAGE)
    for page in range(pages):
        mapping[page * PAGE]
    maps = pathlib.Path("/proc/self/maps").read_text(encoding="ascii")
    start = int(re.search(rf"^([0-9a-f]+)-.* {re.escape(name)}$", maps, re.MULTILINE)[1], 16)
    with open("/proc/self/pagemap", "rb") as file:
        file.seek(start // PAGE * 8)
        entries = struct.unpack(f"={pages}Q", file.read(pages * 8))
    return [entry & (1 << 55) - 1 for entry in entries]


def high(mapping, name):
    """How many of its pages are in high memory."""
    return sum(frame >= HIGHMEM for frame in frames(mapping, name))


def in_highmem(name, data):
    """A file all of whose pages are."""
    make(name, data)
    with open(SRV / name, "rb") as file, mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as mapping:
        equal("pages in high memory", -(-len(data) // PAGE), high(mapping, str(SRV / name)))
    return data


@test("a packet socket's ring is not in high memory", ())
def _():
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as sock:
        sock.setsockopt(SOL_PACKET, PACKET_RX_RING, struct.pack("=IIII", PAGE, 4, PAGE, 4))
        with mmap.mmap(sock.fileno(), 4 * PAGE) as ring:
            equal("pages in high memory", 0, high(ring, f"socket:[{os.fstat(sock.fileno()).st_ino}]"))


WAYS = {
    "without a copy": {"zerocopy": "on"},
    "without a copy, gso off": {"gso": "off"},
    "copied": {"zerocopy": "off"},
    "in blocks above the MTU": {"clamp_mtu": "off"},
    "as text": {"zerocopy": "on"},
}


@test("a file is sent {0}", cases=WAYS)
def _(server, way):
    data = in_highmem("high/file", content(200_000))
    options = [("blksize", 8192 if "MTU" in way else 1428)]
    mode = "netascii" if way == "as text" else "octet"
    if mode == "octet":
        options.append(("windowsize", 8))
    growth = Growth()
    with settings(**WAYS[way]), Client(server) as client:
        got = fetch(client, "high/file", *options, mode=mode)
    same(netascii(data) if mode == "netascii" else data, got)
    equal("was copied", way not in list(WAYS)[:2], growth["bytes_copied"] > 0)


class Splicing(Upload):
    """Sends the pages of a file: its blocks are aligned to them. Before 6.5, UDP makes
    copies of them: there the module sees none in high memory.
    """

    def __init__(self, client, data, file):
        super().__init__(client, data)
        self.file = file

    def send(self, first=None, last=None):
        sock = self.client.socket
        sock.connect(self.client.peer)
        for block in range(self.acked + 1, self.end + 1):
            sock.send(struct.pack("!HH", 3, self.wire(block)), MSG_MORE)
            at = (block - 1) * self.blksize
            left = min(self.blksize, len(self.content) - at)
            if left:
                equal("bytes sent", left, os.sendfile(sock.fileno(), self.file.fileno(), at, left))
            else:
                sock.send(b"")


@test("an upload of a file's pages is written", cases=["octet", "netascii"])
def _(server, mode):
    during(inbox())
    data = in_highmem("high/file", content(100_000).replace(b"\r", b"x").replace(b"\n", b"x"))
    with open(SRV / "high/file", "rb") as file, Client(server) as client:
        sender = Splicing(client, data, file)
        sender.ask(f"up-{mode}", ("blksize", 1024), ("windowsize", 8), mode=mode).begin().finish()
    same(data, (INBOX / f"up-{mode}").read_bytes())


run(tmpfs(SRV / "high"), served())
