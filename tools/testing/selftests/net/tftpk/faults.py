#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""Memory that is not there and disks that fail, by the debug kernel's own injection:
allocations, page-cache insertions and disk reads. Only what the module asks for fails:
the stack has to lead through its code. Clients get an ERROR or ask again, commands say
why, nothing is half done, and the next transfer is as it should be. The VM's end looks
for what leaked. With TFTPK_FAULTS_ALL every allocation fails.
"""

import contextlib
import errno
import os
import pathlib
import re
import shutil
import time

from lib import (
    LOAD, SERVERS, SRV, WORK, Client, Code, Error, Growth, Op, ack, command, content, counters, ctl,
    data, defer, drop_caches, during, equal, execute, exported, fetch_anyway, gone, idle, ip, load,
    loaded, loop_device, make, mounted, note, request, run, same, served, settings, start, state,
    test, unload, wait_for, wants_debug_kernel,
)
from lib.agent import empty
from lib.upload import netascii, put_anyway

wants_debug_kernel()
SERVER = SERVERS["IPv4"]
FILE = make("file", content(60_000))
SMALL = make("small", content(5000))
DISK = content(400_000)
WINDOW = (("blksize", 1400), ("windowsize", 32))
INBOX = WORK / "inbox"
DEBUG = pathlib.Path("/sys/kernel/debug")
TRACING = pathlib.Path("/sys/kernel/tracing")
STALL = pathlib.Path("/sys/module/tftpk_stall/parameters/seconds")
KINDS = ("failslab", "fail_page_alloc", "fail_function", "fail_make_request")
NOWHERE = (1, 2)
EVERYWHERE = (0, (1 << 64) - 1)


# ---- injection ----


def put(kind, **values):
    for name, value in values.items():
        pathlib.Path(DEBUG / kind / name.replace("_", "-")).write_text(str(value), encoding="ascii")


def off(kind):
    put(kind, probability=0, interval=1, times=-1, verbose=0, stacktrace_depth=32)
    put(kind, require_start=hex(NOWHERE[0]), require_end=hex(NOWHERE[1]), reject_start=0, reject_end=0)


def no_faults():
    for kind in KINDS:
        off(kind)
    put("fail_page_alloc", min_order=1)


def module_text():
    """Where the module's code lies, as it is loaded now."""
    for line in pathlib.Path("/proc/modules").read_text(encoding="ascii").splitlines():
        words = line.split()
        if words[0] == "tftpk":
            start = int(words[5], 16)
            return start, start + int(words[1])
    raise AssertionError("the module is not loaded")


def module_symbols():
    """Where its functions lie."""
    lines = command("awk", '$4 == "[tftpk]" { print $1, $3 }', "/proc/kallsyms").splitlines()
    return {name: int(at, 16) for at, name in map(str.split, lines)}


def kernel_text(name):
    """Where a function of the kernel lies."""
    # To read all symbols takes long.
    program = f'$3 == "{name}" || found {{ print $1 }} found {{ exit }} $3 == "{name}" {{ found = 1 }}'
    first, behind = command("awk", program, "/proc/kallsyms").split()
    return int(first, 16), int(behind, 16)


@contextlib.contextmanager
def failing(kind, where, probability=100, **values):
    """Faults meanwhile, beneath code that lies there. To be asked how many."""
    put(kind, require_start=hex(where[0]), require_end=hex(where[1]), times=PLENTY, **values)
    put(kind, probability=probability)
    try:
        yield lambda: PLENTY - int((DEBUG / kind / "times").read_text(encoding="ascii"))
    finally:
        off(kind)


PLENTY = 1 << 30


def nth_fails(kind, n, *words):
    """Run a program while its nth allocation of that kind fails. Returns what
    came of it, and whether there was an nth.
    """
    put(kind, times=PLENTY)
    # By its path: the shell of busybox prefers an insmod of its own, which tries twice.
    program = shutil.which(words[0])
    done = execute("sh", "-c", 'echo "$0" >/proc/self/fail-nth && exec "$@"', n, program, *words[1:])
    return done, int((DEBUG / kind / "times").read_text(encoding="ascii")) < PLENTY


# Every allocation, or those that are apart.
ALL = "TFTPK_FAULTS_ALL" in os.environ


def each(step=1, first=12):
    """The first ones all, the others by steps; without TFTPK_FAULTS_ALL wider
    ones.
    """
    if not ALL:
        first, step = first // 2, step * 2
    n = 0
    while True:
        n += 1 if n < first else step
        yield n


# ---- a client that bears with everything ----


def right(name, wanted, *options):
    got = fetch_anyway(SERVER, name, *options, tries=60)
    if not isinstance(got, bytes):
        raise AssertionError(f"{name}: {got}")
    same(wanted, got)


def recovered():
    """The server serves, and has forgotten those that went silent."""
    right("file", FILE, ("blksize", 1024), ("windowsize", 8))
    idle()


# ---- where the module allocates ----


class Sites:
    """Places in the module from where something was allocated, while a with
    statement lasts: told by the stacks of the kernel's trace events.
    """

    EVENTS = ("kmem_cache_alloc", "kmalloc")

    def __init__(self, condition=""):
        self.trigger = f"hist:keys=common_stacktrace:size=4096 {condition}".strip()
        self.found = set()

    def write(self, sign):
        for event in self.EVENTS:
            file = TRACING / "events/kmem" / event / "trigger"
            file.write_text(sign + self.trigger, encoding="ascii")

    def read(self):
        for event in self.EVENTS:
            text = (TRACING / "events/kmem" / event / "hist").read_text(encoding="ascii")
            for stack in text.split("common_stacktrace:")[1:]:
                inside = re.search(r"(\S+) \[tftpk\]", stack)
                # What a softirq allocates on top of it is not the module's. NAPI's cache takes
                # many skbs at one time, and seldom: what is seen is kmemleak's share.
                if inside and "softirq" not in stack[:inside.start()] and "tftpk_alloc_head" not in inside[1]:
                    self.found.add(inside[1])
        return self.found

    def __enter__(self):
        self.write("")
        return self

    def __exit__(self, *_):
        self.read()
        self.write("!")


def talk(tries):
    """Something of all that clients do. Whatever is delivered is right."""
    ip("server", "route flush cache")
    cases = (
        ("file", (("blksize", 1024), ("windowsize", 16)), "octet", FILE),
        ("file", (("blksize", 4000), ("windowsize", 64)), "octet", FILE),
        ("small", (), "octet", SMALL),
        ("small", (("blksize", 4000),), "netascii", None),
        ("small", (), "netascii", None),
        ("folder\\none", (), "octet", None),
        ("small", (), "mail", None),
    )
    came = 0
    for name, options, mode, wanted in cases:
        got = fetch_anyway(SERVER, name, *options, mode=mode, tries=tries)
        if wanted and isinstance(got, bytes):
            same(wanted, got)
        came += isinstance(got, bytes)
    for mode, wire, options in (("octet", SMALL, ()), ("netascii", netascii(SMALL), (("windowsize", 4),))):
        if put_anyway(SERVER, "put", wire, *options, mode=mode, tries=tries):
            same(SMALL, (INBOX / "put").read_bytes())
            came += 1
    with Client(SERVER) as client:
        client.send(request("new", op=Op.WRQ))
        client.poll(0.1)
        client.send(ack(7))
        client.poll(0.1)
        client.send(data(1))
    return came


@test("each allocation of a request and a transfer fails", ())
def _():
    text = module_text()
    start("tftpkctl", "-n", "server", "-j", "monitor", netns=None)
    # What is not found is a question, and the answer a descriptor.
    lines = f"generate --ttl 1s folder* /bin/echo made\ninbox {empty(INBOX)} existing replace\n"
    (WORK / "tftpkd.conf").write_text(lines, encoding="ascii")
    start("tftpkd", "-f", WORK / "tftpkd.conf", netns="server")
    with settings(clamp_mtu=False, resolve="missing", uploads=True):
        wait_for("the agent", lambda: fetch_anyway(SERVER, "folder") == b"made\n")
        with Sites() as all_sites:
            equal("transfers without faults", 8, talk(60))
        equal("allocations were seen", True, len(all_sites.found) > 5)
        with Sites("if ptr == 0") as failed:
            end = time.monotonic() + 500
            rounds = came = 0
            for probability in (5, 25, 60):
                with failing("failslab", text, probability):
                    came += talk(2)
                rounds += 1
            # What chance left out.
            symbols = {}
            while (missing := all_sites.found - failed.read()) and time.monotonic() < end:
                symbols = symbols or module_symbols()
                name, offset, _ = re.split("[+/]", min(missing))
                at = symbols[name] + int(offset, 16)
                with failing("failslab", (at, at + 1)):
                    came += talk(2)
                rounds += 1
        note(f"{len(all_sites.found)} places, {rounds} rounds, {came} transfers made it")
        equal("places that never failed", set(), missing)
    recovered()


@test("pages cannot be had, nor go into the page cache", ())
def _():
    text = module_text()
    put("fail_page_alloc", min_order=0)
    for probability in (10, 100):
        drop_caches()
        with failing("fail_page_alloc", text, probability):
            talk(2)
            got = fetch_anyway(SERVER, "disk/file", *WINDOW)
            equal("what came is right", True, not isinstance(got, bytes) or got == DISK)
    no_faults()
    recovered()

    inject = DEBUG / "fail_function/inject"
    inject.write_text("__filemap_add_folio", encoding="ascii")
    retval = DEBUG / "fail_function/__filemap_add_folio/retval"
    retval.write_text(f"{(1 << 64) - errno.ENOMEM:#x}", encoding="ascii")
    try:
        drop_caches()
        with failing("fail_function", text):
            got = fetch_anyway(SERVER, "disk/file")
            equal("an ERROR without page cache", (True, Code.UNDEFINED), (isinstance(got, Error), got.code))
    finally:
        inject.write_text("\n", encoding="ascii")
    right("disk/file", DISK, *WINDOW)
    recovered()


# ---- commands ----


# ENOMEM, ENOBUFS, and what sockets say.
REASON = re.compile("Cannot allocate memory|No buffer space|Too many open files")


def command_fails(words, undo, numbers):
    before = state()
    tried = refused = 0
    for n in numbers:
        done, was = nth_fails("failslab", n, "tftpkctl", "-n", "server", *words)
        what = f"allocation {n} of {' '.join(map(str, words))}"
        if done.returncode:
            refused += 1
            equal(f"{what} was to fail, not {done.stderr!r}", True, was)
            equal(f"lines that {what} is told by", 1, done.stderr.count("\n"))
            equal(f"the reason is told: {done.stderr!r}", True, bool(REASON.search(done.stderr)))
            equal(f"state after {what}", before, state())
        elif undo:
            ctl(*undo)
        if not was:
            break
        tried += 1
    note(f"{' '.join(map(str, words))}: {tried} allocations, {refused} of them made it fail")
    return tried


@test("each allocation of a command fails", ())
def _():
    text = module_text()
    other = WORK / "other"
    other.mkdir()
    ctl("unexport", SRV)
    ctl("listen", SERVER)
    ctl("export", SRV)
    put("failslab", require_start=hex(text[0]), require_end=hex(text[1]))
    try:
        tried = command_fails(("export", other, "--as", "x"), ("unexport", other), each())
        equal("an export allocates", True, tried > 3)
        with exported(other, "--as", "x"):
            command_fails(("unexport", other), ("export", other, "--as", "x"), each())
        listen = ("listen", f"{SERVER}:6969")
        tried = command_fails(listen, ("unlisten", *listen[1:]), each(211, 8))
        equal("a listener allocates", True, tried > 4)
        command_fails(("set", "port-range", "20000-20007"), ("set", "port-range", "any"), each(17, 4))
        command_fails(("trust", "198.51.100.0/24"), ("untrust", "198.51.100.0/24"), each())
        for words in (("show",), ("transfers",), ("stats",))[: 3 if ALL else 1]:
            command_fails(words, None, each())
    finally:
        off("failslab")
        ctl("unlisten", SERVER)
        ctl("unexport", SRV)
        ctl("export", SRV)
    recovered()


# ---- loading and unloading ----


# Silent clients are to be forgotten soon.
GIVE_UP = ("give-up", 10)


def serve_again():
    """Whatever failed."""
    no_faults()
    if loaded():
        unload()
    load()
    ctl("set", "source-burst", 0, *GIVE_UP)
    ctl("export", SRV)
    recovered()


@test("each allocation of loading the module fails", ())
def _():
    initcall = kernel_text("do_one_initcall")
    # It tells of its failures as if they were bugs, and leaks a name (6.12).
    cache = kernel_text("__kmem_cache_create_args")
    unload()
    defer(serve_again)
    for kind, numbers in (("failslab", each(11, 5)), ("fail_page_alloc", iter((1, 64, 66)))):
        put("fail_page_alloc", min_order=0)
        put(kind, require_start=hex(initcall[0]), require_end=hex(initcall[1]))
        put(kind, reject_start=hex(cache[0]), reject_end=hex(cache[1]))
        tried = refused = 0
        for n in numbers:
            done, was = nth_fails(kind, n, *LOAD)
            if done.returncode:
                refused += 1
                equal(f"{kind} {n} failed", True, was)
                gone()
            else:
                unload()
            if not was:
                break
            tried += 1
        off(kind)
        note(f"{kind}: {tried} tried, {refused} made it fail")
        equal("some made it fail", True, refused > 0)


@test("allocations fail while all is taken down", ())
def _():
    for probability in (20, 100):
        clients = [Client(SERVER) for _ in range(20)]
        for client in clients:
            client.request("file", {"windowsize": 4})
        wait_for("transfers", lambda: counters()["transfers_started"] >= 20)
        with failing("failslab", module_text(), probability):
            for client in clients[:10]:
                client.send(ack(0))
            ctl("unexport", SRV)
            for client in clients[10:]:
                client.send(ack(0))
            unload()
        for client in clients:
            client.close()
        serve_again()


# ---- time ----


@test("a machine that stands still for longer than a client may be silent", ())
def _():
    growth = Growth()
    # By a write: to start a program would take time in which the client is silent.
    command("modprobe", "tftpk-stall")
    with settings(give_up=3), Client(SERVER) as client:
        client.request("small")
        client.block(1)
        client.ack(1)
        client.block(2)
        begun = time.monotonic()
        STALL.write_text("4", encoding="ascii")
        stood = time.monotonic() - begun
        # The client stood still as well, and does not answer at once.
        time.sleep(1)
        for block in range(2, 10):
            client.ack(block)
            equal(f"block {block + 1}", SMALL[block * 512 :][:512], client.block(block + 1))
        client.ack(10)
        growth.expect(transfers_failed=0, transfers_completed=1)
    command("rmmod", "tftpk-stall")
    note(f"it stood still for {stood:.1f} s")
    equal("longer than the client may be silent", True, stood > 3)
    # Without that the same silence ends a transfer.
    with settings(give_up=3), Client(SERVER) as client:
        client.request("small")
        client.block(1)
        client.ack(1)
        growth.expect(transfers_failed=1, transfers_completed=1)


# ---- storage ----


@contextlib.contextmanager
def disk_may_fail():
    device = os.stat(SRV / "disk").st_dev
    switch = pathlib.Path(f"/sys/dev/block/{os.major(device)}:{os.minor(device)}/make-it-fail")
    switch.write_text("1", encoding="ascii")
    try:
        yield
    finally:
        switch.write_text("0", encoding="ascii")


@test("a disk that fails during a transfer, and comes back", ())
def _():
    with Client(SERVER) as client:
        drop_caches()
        client.open("disk/file", ("blksize", 1024), ("windowsize", 4))
        client.ack(0)
        blocks = 0
        with disk_may_fail():
            with failing("fail_make_request", EVERYWHERE):
                while True:
                    packet = client.receive()
                    if isinstance(packet, Error):
                        break
                    blocks += packet.block == blocks + 1
                    if not packet.block % 4:
                        client.ack(packet.block)
    note(f"{blocks} blocks, then: {packet.text}")
    equal("code of the ERROR", Code.UNDEFINED, packet.code)
    right("disk/file", DISK, *WINDOW)
    recovered()


@test("a disk that fails now and then: the content is right, or an ERROR comes", ())
def _():
    came = 0
    with disk_may_fail(), failing("fail_make_request", EVERYWHERE, 20) as injected:
        for _ in range(4):
            drop_caches()
            got = fetch_anyway(SERVER, "disk/file", ("blksize", 1400), ("windowsize", 8), tries=60)
            if isinstance(got, bytes):
                came += 1
                same(DISK, got)
            else:
                equal("an ERROR otherwise", True, isinstance(got, Error))
        faults = injected()
    note(f"{faults} faults, {came} of 4 made it")
    equal("the disk failed", True, faults > 0)
    recovered()


@test("a tmpfs that is full", ())
def _():
    full = during(mounted(SRV / "full", "-t", "tmpfs", "-o", "size=1m,mode=755", "tmpfs"))
    with open(full / "hole", "wb") as hole, open(full / "rest", "wb", 0) as rest:
        hole.truncate(100_000)
        with contextlib.suppress(OSError):
            while True:
                rest.write(bytes(4096))
    size = (full / "rest").stat().st_size
    equal("it is full", True, 100_000 < size <= 1 << 20)
    right("full/rest", bytes(size), *WINDOW)
    right("full/hole", bytes(100_000), *WINDOW)
    recovered()


@contextlib.contextmanager
def prepared():
    """No faults yet, and a disk."""
    no_faults()
    put("failslab", ignore_gfp_wait="N")
    put("fail_page_alloc", ignore_gfp_wait="N", ignore_gfp_highmem="N")
    ctl("set", *GIVE_UP)
    with loop_device(32, {"file": DISK}, "--read-only") as device, mounted(SRV / "disk", "-o", "ro", device):
        yield


run(served(), prepared())
