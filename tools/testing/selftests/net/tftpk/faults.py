#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""Faults of the kernel's own injection: allocations, page-cache insertions and
disk reads that fail. Only what the module asks for fails: the stack has to
lead through its code.
"""

import contextlib
import errno
import os
import pathlib
import re
import subprocess
import time

from testbed import (
    LOAD,
    SERVERS,
    SRV,
    Growth,
    counters,
    ctl,
    drop_caches,
    equal,
    idle,
    note,
    output,
    run,
    settings,
    tests,
    wait_for,
)
from tftp_packet import Client, Code, Error, Oack, Op, ack, attempt, data, request

SERVER = SERVERS["IPv4"]
WORK = pathlib.Path(os.environ["WORK"])
DEBUG = pathlib.Path("/sys/kernel/debug")
TRACING = pathlib.Path("/sys/kernel/tracing")
LOOP = pathlib.Path("/sys/block", pathlib.Path(os.environ["TFTPK_LOOP"]).name, "make-it-fail")
STALL = pathlib.Path("/sys/module/tftpk_stall/parameters/seconds")
KINDS = ("failslab", "fail_page_alloc", "fail_function", "fail_make_request")
NOWHERE = (1, 2)
EVERYWHERE = (0, (1 << 64) - 1)


def test(title):
    """Register a function as a test."""
    return lambda function: tests.append((title, function, ()))


# ---- injection ----


def put(kind, **values):
    for name, value in values.items():
        pathlib.Path(DEBUG / kind / name.replace("_", "-")).write_text(str(value), encoding="ascii")


def off(kind):
    put(kind, probability=0, interval=1, times=-1, verbose=0, stacktrace_depth=32)
    put(kind, require_start=hex(NOWHERE[0]), require_end=hex(NOWHERE[1]), reject_start=0, reject_end=0)


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
    lines = output("awk", '$4 == "[tftpk]" { print $1, $3 }', "/proc/kallsyms").splitlines()
    return {name: int(at, 16) for at, name in map(str.split, lines)}


def kernel_text(name):
    """Where a function of the kernel lies."""
    # To read all symbols takes long.
    lines = output("awk", f'$3 == "{name}" || found {{ print $1 }} found {{ exit }} $3 == "{name}" {{ found = 1 }}',
                   "/proc/kallsyms").split()
    return int(lines[0], 16), int(lines[1], 16)


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


def nth_fails(kind, n, *command):
    """Run a program while its nth allocation of that kind fails. Returns what
    came of it, and whether there was an nth.
    """

    def arm():
        pathlib.Path("/proc/self/fail-nth").write_text(str(n), encoding="ascii")

    put(kind, times=PLENTY)
    done = subprocess.run(  # pylint: disable=subprocess-popen-preexec-fn
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, preexec_fn=arm
    )
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


def right(name, content, **how):
    got = attempt(SERVER, name, tries=60, **how)
    if got != content:
        what = f"{len(got)} bytes" if isinstance(got, bytes) else got
        raise AssertionError(f"{name}: wanted its {len(content)} bytes, got {what}")


def recovered():
    """The server serves, and has forgotten those that went silent."""
    right("file", FILE, options={"blksize": 1024, "windowsize": 8})
    idle()


FILE = (SRV / "file").read_bytes()
SMALL = (SRV / "small").read_bytes()
DISK = (WORK / "disk-file").read_bytes()


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
                # What a softirq allocates on top of it is not the module's.
                if inside and "softirq" not in stack[:inside.start()]:
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
    output("ip", "-n", "server", "route", "flush", "cache")
    cases = (
        ("file", {"blksize": 1024, "windowsize": 16}, "octet", FILE),
        ("file", {"blksize": 4000, "windowsize": 64}, "octet", FILE),
        ("small", {}, "octet", SMALL),
        ("small", {"blksize": 4000}, "netascii", None),
        ("small", {}, "netascii", None),
        ("folder\\none", {}, "octet", None),
        ("small", {}, "mail", None),
    )
    came = 0
    for name, options, mode, content in cases:
        got = attempt(SERVER, name, options, mode, tries)
        if content and isinstance(got, bytes):
            equal(f"{name} is what it was", True, got == content)
        came += isinstance(got, bytes)
    with Client(SERVER) as client:
        client.send(request("new", op=Op.WRQ))
        client.poll(0.1)
        client.send(ack(7))
        client.poll(0.1)
        client.send(data(1))
    return came


@test("each allocation of a request and a transfer fails")
def _():
    text = module_text()
    listen = ["tftpkctl", "-n", "server", "-j", "monitor"]
    with (
        settings(clamp_mtu=False),
        subprocess.Popen(listen, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL) as monitor,
    ):
        try:
            with Sites() as all_sites:
                equal("transfers without faults", 5, talk(60))
            equal("allocations were seen", True, len(all_sites.found) > 5)
            with Sites("if ptr == 0") as failed:
                end = time.monotonic() + 500
                rounds = came = 0
                for probability in (5, 25, 60):
                    with failing("failslab", text, probability):
                        came += talk(2)
                    rounds += 1
                # What chance left out.
                symbols = module_symbols()
                while (missing := all_sites.found - failed.read()) and time.monotonic() < end:
                    name, offset, _ = re.split("[+/]", min(missing))
                    at = symbols[name] + int(offset, 16)
                    with failing("failslab", (at, at + 1)):
                        came += talk(2)
                    rounds += 1
            note(f"{len(all_sites.found)} places, {rounds} rounds, {came} transfers made it")
            equal("places that never failed", set(), missing)
        finally:
            monitor.terminate()
    recovered()


@test("pages cannot be had, nor go into the page cache")
def _():
    text = module_text()
    put("fail_page_alloc", min_order=0)
    for probability in (10, 100):
        drop_caches()
        with failing("fail_page_alloc", text, probability):
            talk(2)
            got = attempt(SERVER, "disk/file", {"blksize": 1400, "windowsize": 32})
            equal("what came is right", True, not isinstance(got, bytes) or got == DISK)
    put("fail_page_alloc", min_order=1)
    recovered()

    inject = DEBUG / "fail_function/inject"
    inject.write_text("__filemap_add_folio", encoding="ascii")
    retval = DEBUG / "fail_function/__filemap_add_folio/retval"
    retval.write_text(f"{(1 << 64) - errno.ENOMEM:#x}", encoding="ascii")
    try:
        drop_caches()
        with failing("fail_function", text):
            got = attempt(SERVER, "disk/file")
            equal("an ERROR without page cache", (True, Code.UNDEFINED), (isinstance(got, Error), got.code))
    finally:
        inject.write_text("\n", encoding="ascii")
    right("disk/file", DISK, options={"blksize": 1400, "windowsize": 32})
    recovered()


# ---- commands ----


def state():
    return ctl("-j", "show")


# ENOMEM, ENOBUFS, and what sockets say.
REASON = re.compile("Cannot allocate memory|No buffer space|Too many open files")


def command_fails(words, undo, numbers):
    before = state()
    tried = refused = 0
    for n in numbers:
        done, was = nth_fails("failslab", n, "tftpkctl", "-n", "server", *words)
        what = f"allocation {n} of {' '.join(words)}"
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
    note(f"{' '.join(words)}: {tried} allocations, {refused} of them made it fail")
    return tried


@test("each allocation of a command fails")
def _():
    text = module_text()
    (WORK / "other").mkdir()
    ctl("unexport", str(SRV))
    ctl("listen", SERVER)
    ctl("export", str(SRV))
    other = str(WORK / "other")
    put("failslab", require_start=hex(text[0]), require_end=hex(text[1]))
    try:
        tried = command_fails(("export", other, "--as", "x"), ("unexport", other), each())
        equal("an export allocates", True, tried > 3)
        ctl("export", other, "--as", "x")
        command_fails(("unexport", other), ("export", other, "--as", "x"), each())
        ctl("unexport", other)
        listen = ("listen", f"{SERVER}:6969")
        tried = command_fails(listen, ("unlisten", *listen[1:]), each(211, 8))
        equal("a listener allocates", True, tried > 4)
        command_fails(("set", "port-range", "20000-20007"), ("set", "port-range", "any"), each(17, 4))
        command_fails(("trust", "198.51.100.0/24"), ("untrust", "198.51.100.0/24"), each())
        for words in (("show",), ("transfers",), ("stats",))[:3 if ALL else 1]:
            command_fails(words, None, each())
    finally:
        off("failslab")
        ctl("unlisten", SERVER)
        ctl("unexport", str(SRV))
        ctl("export", str(SRV))
    recovered()


# ---- loading and unloading ----


def gone():
    equal("module is loaded", False, os.path.exists("/sys/module/tftpk"))
    slabs = pathlib.Path("/proc/slabinfo").read_text(encoding="ascii")
    equal("slab caches are there", False, "\ntftpk_" in slabs)


def serve_again():
    ctl("set", "source-burst", "0", "give-up", "10")
    ctl("export", str(SRV))
    recovered()


@test("each allocation of loading the module fails")
def _():
    initcall = kernel_text("do_one_initcall")
    # It tells of its failures as if they were bugs, and leaks a name (6.12).
    cache = kernel_text("__kmem_cache_create_args")
    subprocess.run(["rmmod", "tftpk"], check=True)
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
                subprocess.run(["rmmod", "tftpk"], check=True)
            if not was:
                break
            tried += 1
        off(kind)
        note(f"{kind}: {tried} tried, {refused} made it fail")
        equal("some made it fail", True, refused > 0)
    put("fail_page_alloc", min_order=1)
    gone()
    subprocess.run(LOAD, check=True)
    serve_again()


@test("allocations fail while all is taken down")
def _():
    for probability in (20, 100):
        clients = [Client(SERVER) for _ in range(20)]
        for client in clients:
            client.request("file", {"windowsize": 4})
        wait_for("transfers", lambda: counters()["transfers_started"] >= 20)
        with failing("failslab", module_text(), probability):
            for client in clients[:10]:
                client.send(ack(0))
            ctl("unexport", str(SRV))
            for client in clients[10:]:
                client.send(ack(0))
            subprocess.run(["rmmod", "tftpk"], check=True)
        for client in clients:
            client.close()
        gone()
        subprocess.run(LOAD, check=True)
        serve_again()


# ---- time ----


@test("a machine that stands still for longer than a client may be silent")
def _():
    growth = Growth()
    # By a write: to start a program would take time in which the client is silent.
    output("modprobe", "tftpk-stall")
    with settings(give_up=3), Client(SERVER) as client:
        client.request("small")
        client.window(1, 1)
        client.ack(1)
        content = client.window(2, 1)
        begun = time.monotonic()
        STALL.write_text("4", encoding="ascii")
        stood = time.monotonic() - begun
        # The client stood still as well, and does not answer at once.
        time.sleep(1)
        client.ack(2)
        client.resume(3)
    output("rmmod", "tftpk-stall")
    note(f"it stood still for {stood:.1f} s")
    equal("longer than the client may be silent", True, stood > 3)
    equal("the content is right", (SRV / "small").read_bytes()[512:1024], content[0])
    growth.expect(transfers_failed=0, transfers_completed=1)
    # Without that the same silence ends a transfer.
    with settings(give_up=3), Client(SERVER) as client:
        client.request("small")
        client.window(1, 1)
        client.ack(1)
        growth.expect(transfers_failed=1, transfers_completed=1)


# ---- storage ----


@test("a disk that fails during a transfer, and comes back")
def _():
    with Client(SERVER) as client:
        drop_caches()
        client.request("disk/file", {"blksize": 1024, "windowsize": 4})
        client.expect(Oack)
        client.ack(0)
        LOOP.write_text("1", encoding="ascii")
        blocks = 0
        try:
            with failing("fail_make_request", EVERYWHERE):
                while True:
                    packet = client.receive()
                    if isinstance(packet, Error):
                        break
                    blocks += packet.block == blocks + 1
                    if not packet.block % 4:
                        client.ack(packet.block)
        finally:
            LOOP.write_text("0", encoding="ascii")
    note(f"{blocks} blocks, then: {packet.text}")
    equal("code of the ERROR", Code.UNDEFINED, packet.code)
    right("disk/file", DISK, options={"blksize": 1400, "windowsize": 32})
    recovered()


@test("a disk that fails now and then: the content is right, or an ERROR comes")
def _():
    LOOP.write_text("1", encoding="ascii")
    came = 0
    try:
        with failing("fail_make_request", EVERYWHERE, 20) as injected:
            for _ in range(4):
                drop_caches()
                got = attempt(SERVER, "disk/file", {"blksize": 1400, "windowsize": 8}, tries=60)
                if isinstance(got, bytes):
                    came += 1
                    equal("the content is right", True, got == DISK)
                else:
                    equal("an ERROR otherwise", True, isinstance(got, Error))
            faults = injected()
    finally:
        LOOP.write_text("0", encoding="ascii")
    note(f"{faults} faults, {came} of 4 made it")
    equal("the disk failed", True, faults > 0)
    recovered()


@test("a tmpfs that is full")
def _():
    rest = (SRV / "full/rest").read_bytes()
    equal("it is full", True, 100000 < len(rest) <= 1 << 20)
    right("full/rest", rest, options={"blksize": 1400, "windowsize": 16})
    right("full/hole", bytes(100000), options={"blksize": 1400, "windowsize": 16})
    recovered()


for one in KINDS:
    off(one)
put("failslab", ignore_gfp_wait="N")
put("fail_page_alloc", ignore_gfp_wait="N", ignore_gfp_highmem="N")
run()
