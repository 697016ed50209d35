#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""Storage that does not answer: commands come back, everybody else is served, and when
it answers again nothing is left. Of a file system by stallfs.c, and of a block device.
"""

import contextlib
import errno
import os
import platform
import shutil
import signal
import subprocess
import time

from lib import (
    CLIENTS, PATIENCE, SERVERS, SRV, VIRTUAL, WORK, Client, Code, Error, Growth, Transfer,
    after, between, command, content, counters, ctl, defer, drop_caches, during, equal, execute,
    fetch, inside, ip, load, loaded, loop_device, make, note, objects, parse, run, same, served,
    settings, start, test, wait_for,
)
from lib.genl import TFTPK, Genl, attribute
from lib.stall import Stall

IP4, IP6 = SERVERS.values()
FILE = content(1_000_000)
HEALTHY = make("healthy", content(20_000, 2))
WHERE = WORK / "stall"
# What is below it is what stallfs serves.
DATA = WORK / "data"
DATA.mkdir(mode=0o755)
(DATA / "file").write_bytes(FILE)
(DATA / "small").write_bytes(FILE[:1000])

# A command waits that long for storage that gets nowhere, in seconds; once for a path and
# once for what is to end.
LIMIT = 5
SOON = 2 * LIMIT + (2 if VIRTUAL else 20)
BACKGROUND = "no longer served, but the storage does not answer: files are closed when it does"


# ---- storage that stops ----


class Exported(Stall):
    """stallfs, mounted at WHERE and exported as "stall" meanwhile."""

    def __init__(self):
        super().__init__(WHERE, DATA)

    def __enter__(self):
        ctl("export", WHERE, "--as", "stall")
        return self

    def release(self):
        if loaded():
            execute("tftpkctl", "-n", "server", "unexport", WHERE)


stalls = []  # the one of this test


@contextlib.contextmanager
def stalling():
    stall = Exported()
    stalls.append(stall)
    with stall:
        yield stall
    stalls.remove(stall)


def soon_true(what, condition, seconds=SOON):
    """Wait for that. Storage answers before it is given up."""
    try:
        wait_for(what, condition, seconds)
    except AssertionError:
        for stall in stalls:
            stall.go()
        raise


def soon(*words, status=None, **more):
    """A program that has to end in time. Returns its status, what it printed, and what
    it said.
    """
    what = " ".join(map(str, words))
    process = start(*words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **more)
    soon_true(f"{what} to end", lambda: process.poll() is not None)
    printed, said = (stream.read().decode() for stream in (process.stdout, process.stderr))
    if status is not None:
        equal(f"status of {what}, which said '{said}'", status, process.returncode)
    return process.returncode, printed, said


def tftpkctl(*words, netns="server", **more):
    return soon("tftpkctl", "-n", netns, *words, **more)


def serves(name="healthy", data=HEALTHY, server=IP4):
    with Client(server) as client:
        same(data, fetch(client, name))


def begin(where):
    """A transfer that hangs there: in LOOKUP, OPEN or READ of its first page, or in a
    READ when it is under way. Returns the storage and the client.
    """
    stall = during(stalling())
    client = during(Client(IP4))
    if where == "refill":
        transfer = Transfer(client, "stall/file", ("blksize", 1024)).step(8)
        stall.hold("READ")
        take_rest(transfer)
        stall.wait()
    else:
        stall.hold(where)
        client.request("stall/file")
        stall.wait()
    return stall, client


def take_rest(transfer):
    """What was read before."""
    while packet := transfer.client.poll(0.5 if VIRTUAL else 2):
        packet = parse(packet)
        if packet.block == transfer.wire(transfer.blocks + 1):
            transfer.take(packet)


def unexport_in_background():
    """As it has to end while storage hangs."""
    _, printed, said = tftpkctl("unexport", WHERE, status=1)
    equal("what it prints", "", printed)
    equal("what it says", f"tftpkctl: unexport {WHERE}: {BACKGROUND}\n", said)


def told(client):
    client.expect(Error, code=Code.UNDEFINED, text="no longer served")
    client.peer = None


def nothing_left():
    wait_for("all objects to go", lambda: not objects(), PATIENCE)


WAYS = ("LOOKUP", "OPEN", "READ", "refill")


# ---- what commands do ----


@test("{0} hangs: unexport ends in time, the rest is done when storage answers", (), WAYS)
def _(where):
    stall, client = begin(where)
    growth = Growth()
    unexport_in_background()
    told(client)
    growth.expect(transfers_active=0)
    with Client(IP4) as other:
        other.request("stall/small")
        other.expect(Error, code=Code.NOT_FOUND)
        other.peer = None
    serves()
    equal("status of umount", 32, execute("umount", WHERE).returncode)
    # The same folder under the same name: the one before is not in its way.
    ctl("export", WHERE, "--as", "stall")
    stall.go()
    serves("stall/small", FILE[:1000])
    ctl("unexport", WHERE)


@test("unexport is interrupted by {0}", (), ("INT", "KILL"))
def _(name):
    stall, _ = begin("READ")
    process = start("tftpkctl", "unexport", WHERE, netns="server")
    time.sleep(1)
    equal("it waits", None, process.poll())
    process.send_signal(getattr(signal, f"SIG{name}"))
    try:
        wait_for("it to end", lambda: process.poll() is not None, 1)
    finally:
        stall.go()


@test("{0} hangs: listeners go, ports change, others serve", (), WAYS)
def _(where):
    stall, client = begin(where)
    defer(ctl, "set", "port-range", "any")
    tftpkctl("set", "port-range", "30000-30015", status=0)
    told(client)
    serves()
    tftpkctl("listen", f"{IP4}:1069", status=0)
    tftpkctl("unlisten", f"{IP4}:1069", status=0)
    tftpkctl("unexport", SRV, status=0)
    unexport_in_background()
    tftpkctl("export", SRV, status=0)
    serves()
    stall.go()


@test("{0} hangs: a transfer is killed", (), WAYS)
def _(where):
    stall, client = begin(where)
    tftpkctl("kill", CLIENTS["IPv4"], status=0)
    told(client)
    equal("transfers", 0, counters()["transfers_active"])
    stall.go()


@test("tftpkctl test ends in time, {0} hangs", (), ("LOOKUP", "OPEN"))
def _(where):
    stall = during(stalling())
    stall.hold(where)
    _, printed, said = tftpkctl("test", "stall/file", status=1)
    equal("what it prints", "refused: ERROR 0, the storage does not answer\n", printed)
    equal("what it says", "", said)
    serves()
    process = start("tftpkctl", "test", "stall/small", netns="server")
    stall.wait(2)
    process.kill()
    try:
        wait_for("it to end", lambda: process.poll() is not None, 1)
    finally:
        stall.go()


@test("export of a folder that does not answer ends in time", ())
def _():
    stall = during(stalling())
    stall.hold("LOOKUP")
    with Genl("server") as netlink:
        path = attribute(TFTPK["TFTPK_A_EXPORT_PATH"], bytes(WHERE / "folder") + b"\0")
        begun = time.monotonic()
        error, _ = netlink.ask(TFTPK["TFTPK_CMD_EXPORT_ADD"], path)
        equal("answer", os.strerror(110), os.strerror(error))
        between("seconds", LIMIT - 1, time.monotonic() - begun, SOON)
    serves()
    stall.go()


# ---- everybody else ----


def family_comes_and_goes():
    """A module with a family of its own; others' are asked."""
    soon("modprobe", "macsec", status=0)
    soon("ip", "macsec", "show", status=0)
    tftpkctl("stats", status=0)
    soon("modprobe", "-r", "macsec", status=0)


HAS_FAMILY = not execute("modinfo", "macsec").returncode


@test(
    "other families come, answer and go while a command waits: {0}",
    (),
    ("unexport", "test") if HAS_FAMILY else (),
)
def _(word):
    stall, _ = begin("LOOKUP")
    process = start("tftpkctl", word, WHERE if word == "unexport" else "stall/small", netns="server")
    time.sleep(0.5)
    equal("it waits", None, process.poll())
    family_comes_and_goes()
    process.wait()
    family_comes_and_goes()
    stall.go()


def delete(name):
    """A namespace that may be gone already."""
    execute("ip", "netns", "delete", name)


@test("{0} hangs: its namespace goes, others come and go", (), WAYS)
def _(where):
    stall, _ = begin(where)
    for name in ("passing", "next"):
        command("ip", "netns", "add", name)
        defer(delete, name)
        ip("client", f"link add to-{name} type veth peer name to-client netns {name}")
    ip("client", "addr add 198.51.100.2/24 dev to-passing", "link set to-passing up")
    ip("passing", "addr add 198.51.100.1/24 dev to-client", "link set to-client up")
    ctl("export", WHERE, netns="passing")
    client = during(Client("198.51.100.1"))
    client.request("small")
    stall.wait(2)
    for name in ("passing", "next"):
        delete(name)
    for name in ("passing", "next"):
        # With it, its end of the link.
        show = ("ip", "-n", "client", "link", "show", f"to-{name}")
        soon_true(f"{name} to go", lambda show=show: execute(*show).returncode)
    command("ip", "netns", "add", "next")
    ip("next", "link set lo up")
    tftpkctl("export", SRV, netns="next", status=0)
    with inside("next"):
        serves(server="127.0.0.1")
    serves()
    stall.go()


@test("300 requests into what hangs do not stop the others", ())
def _():
    stall = during(stalling())
    stall.hold("OPEN")
    with settings(give_up=5):
        growth = Growth()
        clients = [during(Client(IP4)) for _ in range(300)]
        for client in clients:
            client.request("stall/file")
        stall.wait()
        for server in (IP4, IP6):
            serves(server=server)
        # All of them are told.
        for client in clients:
            client.expect(Error, code=Code.UNDEFINED, text="the storage does not answer")
            client.peer = None
        growth.expect(transfers_active=0, requests_refused=300)
        serves()
        # What was not begun is not done any more.
        between("requests that hang", 1, len(stall.held), 64)
        stall.go()


@test("thousands of requests into what hangs take no memory", ())
def _():
    stall = during(stalling())
    stall.hold("OPEN")
    with settings(max_unverified=100):
        clients = [during(Client(IP4)) for _ in range(200)]
        for client in clients:
            client.request("stall/file")
        stall.wait(64)
        # Those that are under way, those that hang, and a slab.
        most = 100 + 64 + 40
        between("transfers", 100, objects(), most)
        for _ in range(20):
            for client in clients:
                client.request("stall/file")
            time.sleep(0.1)
        between("transfers after thousands", 100, objects(), most)
        serves()
        stall.go()
        for client in clients:
            client.peer = None


@test("{0} fails by ECANCELED: the client is told", (), ("LOOKUP", "OPEN", "READ"))
def _(kind):
    stall = during(stalling())
    stall.hold(kind)
    growth = Growth()
    with Client(IP4) as client:
        client.request("stall/file")
        stall.wait()
        stall.tell("fail", errno.ECANCELED)
        client.expect(Error, code=Code.UNDEFINED, text="cannot read file")
        growth.expect(transfers_active=0, requests_refused=1)


@test("{0} is reached by requests that hang: others get in", (), ("max-transfers", "max-unverified"))
def _(limit):
    stall = during(stalling())
    stall.hold("OPEN")
    # So that one client may have more than its share.
    ctl("trust", CLIENTS["IPv4"])
    defer(ctl, "untrust", CLIENTS["IPv4"])
    with settings(**{limit.replace("-", "_"): 20, "give_up": 3}):
        clients = [during(Client(IP4)) for _ in range(30)]
        for client in clients:
            client.request("stall/file")
        stall.wait()
        if limit == "max-transfers":
            soon_true("a place", lambda: counters()["transfers_active"] < 20)
        serves()
        soon_true("all to end", lambda: not counters()["transfers_active"])
        for client in clients:
            client.arrived()
            client.peer = None
        stall.go()


@test("{0} hangs: the client is told after give-up", (), WAYS)
def _(where):
    with settings(give_up=3):
        growth = Growth()
        stall, client = begin(where)
        begun = time.monotonic()
        packets = []
        while not isinstance(packet := client.receive(), Error):
            packets.append(packet)
        equal("the end", Error(Code.UNDEFINED, "the storage does not answer"), packet)
        client.peer = None
        between("seconds", 1, time.monotonic() - begun, 5)
        counter = "transfers_failed" if where == "refill" else "requests_refused"
        growth.expect(transfers_active=0, **{counter: 1})
        stall.go()


# ---- the module ----


def reload():
    load()
    ctl("set", "source-burst", "0")
    ctl("export", SRV)


@test("{0} hangs: the module goes when storage answers", (), WAYS)
def _(where):
    stall, client = begin(where)
    process = start("rmmod", "tftpk")
    told(client)
    time.sleep(1)
    equal("it waits", None, process.poll())
    stall.go()
    wait_for("the module to go", lambda: process.poll() is not None)
    assert not loaded()
    reload()


@test(
    "storage was seen to hang by {0}: the module is in use until it answers",
    (),
    ("a request", "unexport", "test"),
)
def _(word):
    stall, client = begin("OPEN")
    if word == "a request":
        with settings(give_up=2):
            client.expect(Error, text="the storage does not answer")
            client.peer = None
    elif word == "unexport":
        unexport_in_background()
        told(client)
    else:
        tftpkctl("test", "stall/small", status=1)
        tftpkctl("kill", CLIENTS["IPv4"], status=0)
        told(client)
    _, _, said = soon("rmmod", "tftpk", status=1)
    equal("what rmmod says", "rmmod: ERROR: Module tftpk is in use\n", said)
    serves()
    stall.go()
    wait_for("the module to go", lambda: not execute("rmmod", "tftpk").returncode)
    reload()


# ---- a block device ----

HAS_DM = shutil.which("dmsetup") and not execute("modprobe", "dm-mod").returncode


def dmsetup(*words, **more):
    command("dmsetup", "--noudevrules", "--noudevsync", *words, **more)


@contextlib.contextmanager
def mapped(device):
    """It, by a device that can be suspended, meanwhile."""
    sectors = command("blockdev", "--getsz", device).strip()
    dmsetup("create", "stall", "--table", f"0 {sectors} linear {device} 0")
    dmsetup("mknodes")
    try:
        yield "/dev/mapper/stall"
    finally:
        dmsetup("resume", "stall")
        if os.path.ismount(DISK):
            wait_for("the disk to be free", lambda: not execute("umount", DISK).returncode)
        dmsetup("remove", "stall")


DISK = WORK / "disk"


@test("a suspended device, {0}", (), ("opening", "under way") if HAS_DM else ())
def _(when):
    device = during(mapped(during(loop_device(8, {"file": FILE, "small": FILE[:1000]}))))
    DISK.mkdir(mode=0o755, exist_ok=True)
    command("mount", "-t", "ext4", device, DISK)
    ctl("export", DISK, "--as", "disk")
    drop_caches()
    client = during(Client(IP4))
    if when == "under way":
        transfer = Transfer(client, "disk/file", ("blksize", 1024)).step(8)
    dmsetup("suspend", "--noflush", "--nolockfs", "stall")
    if when == "under way":
        take_rest(transfer)
    else:
        client.request("disk/file")
        client.expect_silence(0.5)
    serves()
    status, _, said = tftpkctl("unexport", DISK)
    dmsetup("resume", "stall")
    equal("unexport", (1, f"tftpkctl: unexport {DISK}: {BACKGROUND}\n"), (status, said))
    told(client)


# ---- what is read, and as whom ----


@test("files are read as the export's user: {0}", (), (65534, 1234))
def _(user):
    stall = during(stalling())
    ctl("unexport", WHERE)
    ctl("export", WHERE, "--as", "stall", "--uid", user)
    stall.hold("LOOKUP", "OPEN", "READ")
    with Client(IP4) as client:
        client.request("stall/small")
        for kind in ("LOOKUP", "OPEN", "READ"):
            soon_true(f"{kind}", lambda k=kind: stall.holds() and stall.held[-1][0] == k)
            equal("who asks", (kind, "small", str(user)), stall.held[-1])
            stall.tell("go")
        stall.go()
        same(FILE[:512], client.block(1))


# Since 6.5 splice() reads FUSE's files by the page cache in any case.
RELEASE = tuple(map(int, platform.release().split(".")[:2]))
SHORT = (1000, 4096, 5000, 70_001) if RELEASE < (6, 5) else ()


@test("answers of {0} bytes, past the page cache", (), SHORT)
def _(size):
    stall = during(stalling())
    stall.tell("short", size)
    with Client(IP4) as client:
        same(FILE, fetch(client, "stall/file", ("blksize", 1428), ("windowsize", 16)))
    with Client(IP6) as client:
        same(FILE, fetch(client, "stall/file", ("blksize", 1024)))


@contextlib.contextmanager
def kept():
    """Nothing stays of any test."""
    after.append(nothing_left)
    if not HAS_FAMILY:
        note("SKIP: other families: no module here has one")
    if not HAS_DM:
        note("SKIP: a suspended device: no device mapper")
    if not SHORT:
        note("SKIP: answers past the page cache: no file system here gives such")
    yield


run(served(), kept())
