#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""Boot storms: clients of all windows fetch a file at once, through a router whose link to
them is narrow and has a short queue. With --full a thousand of them fetch 1 MiB; other
servers do the same where /peers has them, which scripts/bench/peers does.

	server [to-client] ---- [to-server] client [to-far] ---- [to-client] far

The server's end does not take segmented buffers: the queue has room for packets.
"""

import contextlib
import json
import os
import pathlib
import sys

from lib import (
    SERVERS, SRV, between, command, ctl, defer, during, equal, execute, inside, ip, make, note, routed, run, served,
    settings, start, tc, test, traffic, wait_for,
)
from lib.far import FAR
from lib.host import CLIENTS, HERE

FULL = "--full" in sys.argv
if FULL:
    sys.argv.remove("--full")
NUMBER, SIZE = (1000, 1 << 20) if FULL else (250, 1 << 18)
WINDOWS = (0, 4, 16, 64)  # 0 is lock step without the option
RATE, PACKETS = 200_000_000, 100  # of the narrow link
BLKSIZE, HEADERS = 1428, 46
FIRST = "198.18.0.1"  # client's address, behind `far`

# What it takes to serve SRV on port 69, from its program in /peers.
OTHERS = {
    "tftpd-hpa": ("in.tftpd", "-L", "-4", "-a", ":69", "-u", "root", "-s", SRV),
    "atftpd": ("atftpd", "--daemon", "--no-fork", "--maxthread", 2000, "--user", "root", "--group", "root", SRV),
    "dnsmasq": ("dnsmasq", "-k", "-p", 0, "-u", "root", "-C", "/dev/null", "--enable-tftp", f"--tftp-root={SRV}",
                "--tftp-max=2000"),
}
PEERS = pathlib.Path("/peers/sid")
VERSIONS = PEERS.parent / "versions"


def narrow():
    """The way from the server to its clients."""
    command("ethtool", "-K", "to-client", "tx-udp-segmentation", "off", netns="server")
    # Nothing is lost but in that queue.
    with inside("/proc/1/ns/net"):
        pathlib.Path("/proc/sys/net/core/netdev_max_backlog").write_text("100000", encoding="ascii")
    for netns, line in (("server", f"via {CLIENTS['IPv4']}"), ("client", f"via {FAR['IPv4']}")):
        ip(netns, f"route add 198.18.0.0/16 {line}")
    ip("far", "route add local 198.18.0.0/16 dev lo")
    # A burst of a packet or three, so that they leave one by one.
    tc(
        "client",
        f"qdisc add dev to-far root handle 1: tbf rate {RATE} burst 5000 limit 200000",
        f"qdisc add dev to-far parent 1:1 pfifo limit {PACKETS}",
    )


def idle_seconds():
    """How long the processor had nothing to do."""
    words = pathlib.Path("/proc/stat").read_text(encoding="ascii").split("\n", 1)[0].split()
    return sum(map(int, words[4:6])) / os.sysconf("SC_CLK_TCK")


def storm():
    """Have them all fetch it, and tell what that was like: how many have it; how many own
    timers of clients fired, and how often; of the blocks, how many the server sent again, and
    how many came twice; when half of them, and 99%, and all were complete; how much of
    the link they had, and of the processor nobody.
    """
    before, idle = traffic("server", "to-client"), idle_seconds()
    done = execute(
        *(HERE / "tftpload", "--data", SRV / "file", "--clients", NUMBER, "--starting", NUMBER),
        *("--windowsize", ",".join(map(str, WINDOWS)), "--blksize", BLKSIZE, "--patience", 1),
        *("--bind", FIRST, "--spread", NUMBER, "--lossy", "--less", "--deadline", 3000, SERVERS["IPv4"], "file"),
        netns="far",
    )
    got = json.loads(done.stdout)
    # An OACK each
    packets = traffic("server", "to-client")["tx_packets"] - before["tx_packets"] - NUMBER
    took, blocks = got["transfer_us"], max(got["blocks"], 1)
    # The clients stay for a while when the last of them is done.
    until = got["done"] or got["seconds"]
    idle = idle_seconds() - idle - (got["seconds"] - until)
    used = 8 * (got["bytes"] + blocks * HEADERS) / RATE / until
    note(HEADER)
    note(
        f"{took['samples']:8} {got['impatient']:7} {got['timeouts']:6} {packets / blocks - 1:7.2%}"
        f" {got['duplicates'] / blocks:6.2%} {took['p50'] / 1e6:7.2f} {took['p99'] / 1e6:7.2f} {got['done']:7.2f}"
        f" {took['p99'] / max(took['p50'], 1):8.2f} {used:6.1%} {idle / until:6.1%}"
    )
    for one in got["by_window"]:
        note(
            f"{one['samples']:8} {one['impatient']:7} {'':21} {one['p50'] / 1e6:7.2f} {one['p99'] / 1e6:7.2f}"
            f" of window {one['windowsize']}"
        )
    got |= {"resent": packets / blocks - 1, "used": used}
    note(f"{got['less']} got a smaller window than they asked for\n{done.stderr}")
    return got


def listening():
    """Does anybody on port 69, in this thread's namespace?"""
    return any(":0045 " in pathlib.Path(f"/proc/thread-self/net/{name}").read_text("ascii") for name in ("udp", "udp6"))


HEADER = f"{'complete':8} timers  times  resent  twice  half s   99% s   all s 99%/half   link   idle"

SUBJECT = f"{NUMBER} clients fetch {SIZE >> 10} KiB"


@test(f"{SUBJECT}, from tftpk", [], timed=True)
def _():
    got = storm()
    equal("clients that gave up", 0, got["failed"])
    # The beginning is a large part of a short storm.
    between("clients whose timer fired", 0, got["impatient"], NUMBER // 50)
    between("resent", 0, got["resent"], 0.01 if FULL else 0.06)
    between("99% to half", 1, got["transfer_us"]["p99"] / got["transfer_us"]["p50"], 1.3)
    between("part of the link", 0.93 if FULL else 0.7, got["used"], 1)


@test(f"{SUBJECT}, from tftpk without turns", [], timed=True)
def _():
    """What they are for."""
    during(settings(crowd=0))
    got = storm()
    assert got["impatient"] > NUMBER / 10 and got["resent"] > 0.2, got


@test(SUBJECT + ", from {0}", [], list(OTHERS) if VERSIONS.exists() else [], timed=True)
def _(name):
    """Whatever it does is no failure here."""
    note(next(line for line in VERSIONS.read_text(encoding="ascii").splitlines() if line.startswith(f"{name}/sid ")))
    ctl("unexport", SRV)
    defer(ctl, "export", SRV)
    program, *words = OTHERS[name]
    start(PEERS / "bin" / program, *words, netns="server", env=os.environ | {"LD_LIBRARY_PATH": f"{PEERS}/lib"})
    with inside("server"):
        wait_for(name, listening)
    storm()


@contextlib.contextmanager
def prepared():
    make("file", os.urandom(SIZE))
    for folder in "/var/lib/misc", "/var/run":
        pathlib.Path(folder).mkdir(parents=True, exist_ok=True)
    narrow()
    yield


run(served(), routed(), prepared())
