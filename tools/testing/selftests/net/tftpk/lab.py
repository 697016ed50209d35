# SPDX-License-Identifier: GPL-2.0
"""What tests of the protocol want beyond testbed.py: more namespaces than two,
counters without a process for each look, tests that wait side by side.
"""

import contextlib
import ctypes
import fnmatch
import functools
import json
import os
import pathlib
import socket
import struct
import subprocess
import sys
import threading
import time
import traceback

import testbed
import wire
from testbed import PATIENCE, SERVERS, SRV, ctl
from tftp_packet import Code, Error

WORK = pathlib.Path(os.environ["WORK"])


def family(server):
    return "IPv6" if ":" in server else "IPv4"


def headers(server):
    """Bytes of IP, UDP and TFTP header in front of a block."""
    return (40 if ":" in server else 20) + 8 + 4


# ---- comparing ----


def same(wanted, got):
    """Contents that are too long to be printed."""
    if wanted == got:
        return
    at = next((i for i, (a, b) in enumerate(zip(wanted, got)) if a != b), min(len(wanted), len(got)))
    raise AssertionError(
        f"content differs from byte {at} on: wanted {wanted[at:at + 16]!r} and so on, got"
        f" {got[at:at + 16]!r}; {len(wanted)} bytes wanted, {len(got)} got"
    )


def between(what, low, got, high):
    if not low <= got <= high:
        raise AssertionError(f"{what}: wanted {low:g} to {high:g}, got {got:g}")


# ---- namespaces ----

libc = ctypes.CDLL(None, use_errno=True)
CLONE_NEWNET = 0x40000000


def enter(path):
    with open(path, "rb") as file:
        if libc.setns(file.fileno(), CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), f"setns {path}")


@contextlib.contextmanager
def inside(netns):
    """This thread is in that namespace meanwhile: sockets made now belong to
    it for good.
    """
    if netns is None:
        yield
        return
    with open("/proc/thread-self/ns/net", "rb") as before:
        enter(f"/run/netns/{netns}")
        try:
            yield
        finally:
            libc.setns(before.fileno(), CLONE_NEWNET)


def command(*words, stdin=""):
    """Run a program; an exception with its words if it fails."""
    done = subprocess.run(
        words, input=stdin, capture_output=True, text=True, check=False, close_fds=False
    )
    if done.returncode:
        raise AssertionError(f"{' '.join(words)}: status {done.returncode}: {done.stdout}{done.stderr}")
    return done.stdout


def ip(netns, *lines):
    """Lines for `ip -batch`, in a namespace."""
    command("ip", "-n", netns, "-batch", "-", stdin="\n".join(lines) + "\n")


def tc(netns, *lines):
    command("tc", "-n", netns, "-batch", "-", stdin="\n".join(lines) + "\n")


def nft(netns, rules):
    command("nsenter", f"--net=/run/netns/{netns}", "--", "nft", "-f", "-", stdin=rules)


def sysctl(netns, key, value):
    """A key below net, with slashes."""
    with inside(netns):
        pathlib.Path("/proc/sys/net", key).write_text(f"{value}\n", encoding="ascii")


@contextlib.contextmanager
def namespaces(*names):
    """New namespaces meanwhile."""
    for name in names:
        command("ip", "netns", "add", name)
        ip(name, "link set lo up")
    try:
        yield
    finally:
        for name in names:
            command("ip", "netns", "delete", name)


def traffic(netns, device):
    """Bytes and packets that an interface received and sent."""
    with inside(netns), open("/proc/thread-self/net/dev", encoding="ascii") as file:
        for line in file:
            name, _, numbers = line.partition(":")
            if name.strip() == device:
                n = [int(word) for word in numbers.split()]
                return {
                    "rx_bytes": n[0],
                    "rx_packets": n[1],
                    "tx_bytes": n[8],
                    "tx_packets": n[9],
                }
    raise AssertionError(f"no interface {device} in {netns}")


# ---- settings ----


def word(value):
    """A setting as `tftpkctl set` takes it."""
    if isinstance(value, bool):
        return "on" if value else "off"
    return "any" if value is None else str(value)


@contextlib.contextmanager
def settings(**changed):
    """Settings meanwhile, of any kind."""
    before = json.loads(ctl("-j", "get"))

    def put(values):
        ctl("set", *(w for key, value in values for w in (key.replace("_", "-"), word(value))))

    put(changed.items())
    try:
        yield
    finally:
        put((key, before[key]) for key in changed)


# ---- counters ----


class Counters:
    """The server's counters, by netlink: tftpkctl would take longer than a
    transfer. The numbers are those of Documentation/netlink/specs/tftpk.yaml,
    which only grows.
    """

    NAMES = """pad requests requests_repeated requests_refused requests_dropped
        writes_refused packets_malformed packets_unknown transfers_started
        transfers_completed transfers_failed transfers_aborted transfers_active
        blocks_sent blocks_retransmitted bytes_sent bytes_copied skbs_sent
        acks_received acks_ignored timeouts probes refills send_errors
        requests_limited transfers_evicted packets_strange clients_unreachable
        clients_probing events_dropped transfers_bounded""".split()
    STATS_GET = 8

    def __init__(self, netns="server"):
        self.netns = netns
        self.lock = threading.Lock()
        self.socket = None
        self.family = None

    def connect(self):
        """Ask for the family's number: GENL_ID_CTRL, CTRL_CMD_GETFAMILY."""
        with inside(self.netns):
            self.socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 16)
        reply = self.ask(16, 3, struct.pack("=HH8s", 10, 2, b"tftpk"))
        self.family = struct.unpack("=H", reply[1][:2])[0]

    def ask(self, family, operation, attributes=b""):
        """Send a request; the reply's attributes by their numbers."""
        body = struct.pack("=BBH", operation, 1, 0) + attributes
        self.socket.send(struct.pack("=IHHII", 16 + len(body), family, 1, 1, 0) + body)
        reply = self.socket.recv(65536)
        if struct.unpack_from("=H", reply, 4)[0] != family:
            raise AssertionError(f"netlink: {reply.hex()}")
        found, at = {}, 20
        while at + 4 <= len(reply):
            length, number = struct.unpack_from("=HH", reply, at)
            found[number & 0x3FFF] = reply[at + 4 : at + length]
            at += (length + 3) & ~3
        return found

    def read(self):
        with self.lock:
            if not self.socket:
                self.connect()
            reply = self.ask(self.family, self.STATS_GET)
        return {
            name: struct.unpack("=Q", reply[number])[0]
            for number, name in enumerate(self.NAMES, 1)
            if number in reply and name != "pad"
        }


counters = Counters()


class Growth:
    """By how much counters have grown since this was made."""

    def __init__(self):
        self.before = counters.read()

    def __getitem__(self, name):
        return counters.read()[name] - self.before[name]

    def expect(self, transfers_active=None, **wanted):
        """Wait until they have grown by that much; more is a failure. Of
        transfers there have to be so many at last.
        """
        end = time.monotonic() + PATIENCE
        while True:
            now = counters.read()
            active = now["transfers_active"]
            got = {name: now[name] - self.before[name] for name in wanted}
            if got == wanted and transfers_active in (None, active):
                return
            if time.monotonic() > end or any(got[name] > wanted[name] for name in wanted):
                raise AssertionError(f"counters: wanted {wanted}, got {got}; {active} active")
            time.sleep(0.01)


idle = functools.partial(testbed.idle, read=counters.read)


def fence(server=SERVERS["IPv4"], netns=None):
    """Return when the server has dealt with all that was sent to it before."""
    with inside(netns), wire.Client(server) as client:
        client.request("there is no such file")
        client.expect(Error, code=Code.NOT_FOUND)
        client.peer = None


def quiet(*clients):
    """Fail if anything comes, now that the server has dealt with everything."""
    fence()
    for client in clients:
        client.expect_silence(0.05)


# ---- listeners ----


def reexport():
    """Listen as an export makes it, on port 69 of all addresses."""
    ctl("unexport", str(SRV))
    ctl("export", str(SRV))


@contextlib.contextmanager
def listening(*listeners):
    """These listeners meanwhile, instead of those that the export made."""
    for words in listeners:
        ctl("listen", *words.split())
    try:
        yield
    finally:
        for words in listeners:
            ctl("unlisten", *[w for w in words.split() if not w.startswith("--")])
        reexport()


# ---- files ----


def content(size, seed=1):
    """Bytes that do not repeat, the same each time."""
    state = seed
    words = bytearray()
    while len(words) < size:
        state = (state * 6364136223846793005 + 1442695040888963407) % 2**64
        words += (state ^ (state >> 29)).to_bytes(8, "big")
    return bytes(words[:size])


def make(name, data):
    """A file in the export."""
    path = SRV / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return data


# ---- KTAP ----


class Test:
    """A test, what it said and how it ended."""

    def __init__(self, name, function, arguments, together, tries):
        self.name = name
        self.function = function
        self.arguments = arguments
        self.together = together
        self.tries = tries
        self.lines = []
        self.failed = False
        self.seconds = 0.0

    def run(self):
        begun = time.monotonic()
        running.test = self
        for self.tries in range(self.tries, 0, -1):
            wire.history.__dict__.clear()
            try:
                self.function(*self.arguments)
                break
            except Exception as error:  # whatever it is, it is the test's
                if self.tries > 1:
                    note(f"once more, since {error}")
                    continue
                self.fail(traceback.format_exc(limit=-4))
                self.lines += getattr(wire.history, "lines", [])
        self.seconds = time.monotonic() - begun

    def fail(self, text):
        self.failed = True
        self.lines += text.splitlines()

    def report(self, number):
        for line in self.lines:
            print(f"# {line}")
        print(f"# {self.seconds:.2f} s")
        print(f"{'not ' if self.failed else ''}ok {number} {self.name}", flush=True)


tests = []
running = threading.local()


def note(text):
    """Shown in any case."""
    running.test.lines += str(text).splitlines()


def test(name, families=("IPv4", "IPv6"), cases=((),), together=False, tries=1):
    """Register a function as a test, as in testbed.py. Tests that mostly wait
    run `together` with their neighbours; they cannot look at counters. Those
    that measure times may have several `tries`, for this machine may stand
    still when it likes.
    """

    def register(function):
        for family in families:
            for case in cases:
                case = case if isinstance(case, tuple) else (case,)
                title = ", ".join(filter(None, (family, name.format(*case))))
                arguments = (SERVERS[family], *case) if family else case
                tests.append(Test(title, function, arguments, together, tries))
        return function

    return register


def batches(chosen):
    batch = []
    for one in chosen:
        if batch and not (one.together and batch[0].together):
            yield batch
            batch = []
        batch.append(one)
    if batch:
        yield batch


def run():
    """Run the tests that the arguments match, print KTAP and exit."""
    begun = time.monotonic()
    patterns = sys.argv[1:]
    chosen = [t for t in tests if not patterns or any(fnmatch.fnmatch(t.name, f"*{p}*") for p in patterns)]
    print(f"1..{len(chosen)}", flush=True)
    number = 0
    for batch in batches(chosen):
        threads = [threading.Thread(target=one.run) for one in batch]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        # What is left running would disturb the next one.
        try:
            idle(15)
        except AssertionError as error:
            batch[-1].fail(str(error))
        for one in batch:
            number += 1
            one.report(number)
    print(f"# {len(chosen)} tests, {time.monotonic() - begun:.1f} s")
    sys.stdout.flush()
    sys.exit(any(t.failed for t in chosen))
