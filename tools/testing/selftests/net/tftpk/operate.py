#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""What operators do with a server that runs: prefixes, kill, drain, test, monitor, top,
metrics, and configurations in files.
"""

import contextlib
import fcntl
import itertools
import json
import os
import pty
import re
import select
import shutil
import signal
import struct
import subprocess
import termios
import time

from lib import (
    CLIENTS, PATIENCE, SERVERS, SRV, WORK, Client, Code, Error, Growth, Unexpected, after,
    as_user, blank, cached, command, content, ctl, defer, disk, drop_caches, during, equal,
    execute, fails, fetch, has, ip, load, make, matches, module, netem, occupy, paused, refuses,
    run, same, shows, start, subscribed, test, told, transfers, wait_for,
)

FOUR, SIX = SERVERS["IPv4"], SERVERS["IPv6"]
CLIENT, CLIENT6 = CLIENTS["IPv4"], CLIENTS["IPv6"]
ROOT, BOOT, ARM, WORDS = SRV / "root", SRV / "boot", SRV / "arm", SRV / "two words"
for name in ("file", "bootfile", "boot/hidden", "dir/file"):
    make(f"root/{name}", b"of the root")
for name in ("boot/file", "boot/only", "arm/file", "two words/file"):
    make(name, name.encode())
LARGE = make("root/large", content(1_000_000))
# The namespace that the machine began with.
INIT = "/proc/1/ns/net"
after.append(blank)


def answer(name):
    """What a client gets."""
    with Client(FOUR) as client:
        return fetch(client, name)


def served(name, file):
    """A client that asks for the name gets that file of SRV."""
    matches(f"test {name}", f"served: {SRV}/{file}, *\n", ctl("test", name))


def refused(name, pattern):
    done = execute("tftpkctl", "-n", "server", "test", name)
    equal("status and errors", (1, ""), (done.returncode, done.stderr))
    matches(f"test {name}", f"refused: {pattern}\n", done.stdout)


# ---- prefixes ----


@test("prefixes: the longest that fits whole folders", ())
def _():
    ctl("export", ROOT)
    ctl("export", BOOT, "--as", "boot")
    ctl("export", ARM, "--as", "/boot//./arm/")
    for name, file in (
        ("file", "root/file"),
        ("/bootfile", "root/bootfile"),
        ("boot/only", "boot/only"),
        ("//boot/file", "boot/file"),
        ("boot/arm/file", "arm/file"),
        ("boot\\arm\\file", "arm/file"),
    ):
        served(name, file)
    # The longest prefix decides, even where it has no such file.
    refused("boot/hidden", "ERROR 1, file not found*")
    refused("boot/arm/only", "ERROR 1, *")
    equal("content", b"arm/file", answer("boot/arm/file"))
    shows(f"*  /boot/arm  *{ARM}\n*")
    wanted = {"path": str(ARM), "prefix": "boot/arm", "no_symlinks": False}
    has("export", wanted, told("show")["exports"][2])
    refuses("*exported already*", "export", ARM, "--as", "boot/arm")
    refuses("*not exported*", "unexport", ARM, "--as", "/")
    said = ctl("unexport", ARM, "--as", "/boot/arm")
    equal("unexport", f"no longer serving {ARM} as /boot/arm\n", said)
    refused("boot/arm/file", "ERROR 1, *")
    # Without a prefix all of them go.
    ctl("export", BOOT)
    ctl("unexport", BOOT)
    served("boot/hidden", "root/boot/hidden")


@test("one prefix twice: the first that has the file", ())
def _():
    ctl("export", BOOT)
    ctl("export", ROOT)
    served("file", "boot/file")
    served("bootfile", "root/bootfile")


@test("symbolic links stay inside, or are not followed", ())
def _():
    for link, target in ((ROOT / "link", "file"), (ROOT / "out", BOOT)):
        link.symlink_to(target)
        defer(link.unlink)
    ctl("export", ROOT)
    ctl("export", ROOT, "--as", "strict", "--no-symlinks")
    served("link", "root/file")
    served("strict/file", "root/file")
    refused("out/only", "ERROR 1, *")
    refused("strict/link", "ERROR *")
    shows("*no-symlinks*")


# ---- test ----


@test("test tells the file, why not, and what the client may", ())
def _():
    refused("file", "nothing is exported*")
    ctl("export", ROOT)
    matches("test", f"served: {ROOT}/large, 1000000 bytes, by export *", ctl("test", "large"))
    defer((ROOT / "file").chmod, 0o644)
    (ROOT / "file").chmod(0o600)
    refused("file", "ERROR 2, access violation*")
    refused("dir", "ERROR 2, *")
    ctl("drain")
    refused("large", "draining*undrain")
    ctl("undrain")

    ip("server", f"route add 198.51.100.0/24 via {CLIENT}")
    defer(ip, "server", "route delete 198.51.100.0/24")
    ctl("set", "source-burst", "10")

    def may(source, pattern):
        matches(f"test --from {source}", pattern, ctl("test", "large", "--from", source))

    may(CLIENT, f"*{CLIENT} is on the link of to-client: 10 requests without options at once*")
    may(CLIENT6, f"*{CLIENT6} is on the link*")
    may("198.51.100.7", f"*198.51.100.7 is behind the router {CLIENT}: 3 requests without options at once*")
    ctl("trust", "198.51.100.0/29")
    may("198.51.100.7", "*is trusted with 198.51.100.0/29: 10 *")
    may("198.51.100.8", "*is behind the router*")
    may("203.0.113.1", "*203.0.113.1 cannot be reached*")
    said = told("test", "large", "--from", "198.51.100.7")
    has("test", {"served": True, "file": f"{ROOT}/large", "size": 1_000_000, "error_code": None}, said)
    wanted = {"source": "trusted", "network": "198.51.100.0/29", "gateway": CLIENT, "burst": 10}
    has("from", wanted | {"interface": "to-client", "window_size": 64}, said["from"])
    done = execute("tftpkctl", "-n", "server", "-j", "test", "dir")
    equal("status", 1, done.returncode)
    has("test of a folder", {"served": False, "error_code": 2, "from": None}, json.loads(done.stdout))


def source(address):
    """What `test` tells of that client."""
    done = execute("tftpkctl", "-n", "server", "-j", "test", "large", "--from", address)
    return json.loads(done.stdout)["from"]


@test("test asks the listener that takes the client", ())
def _():
    ip(
        "server",
        "link add blue type vrf table 10",
        "link add blue0 type dummy",
        "link set blue0 master blue",
        "link set blue up",
        "link set blue0 up",
        "address add 198.51.100.1/24 dev blue0",
        "address add fe80::5/64 dev blue0 nodad",
        "route add 203.0.113.0/24 vrf blue via 198.51.100.9",
        "route add 16.0.0.0/7 vrf blue dev blue0",
        f"route add 198.51.100.0/24 via {CLIENT}",
    )
    defer(ip, "server", "link delete blue0", "link delete blue", "route delete 198.51.100.0/24")
    ctl("export", ROOT)
    ctl("set", "source-burst", "64")
    # The main table has a router for these, and nothing for those beyond one in the VRF.
    for address, kind in (("198.51.100.7", "routed"), ("203.0.113.1", "unreachable")):
        has(address, {"source": kind}, source(address))
    link_local = {"source": "link", "interface": "to-client"}
    has("link-local", link_local, source("fe80::7%to-client"))
    has("link-local, in a VRF that nobody serves", {"source": "unserved"}, source("fe80::7%blue0"))
    ctl("listen", "*", "dev", "blue", "--single-port")
    wanted = {"source": "link", "gateway": None, "interface": "blue0", "window_size": 64}
    has("on the VRF's link", wanted, source("198.51.100.7"))
    wanted = {"source": "routed", "gateway": "198.51.100.9", "burst": 16, "window_size": 1}
    has("beyond the VRF's router", wanted, source("203.0.113.1"))
    matches("test", "*: 16 *, windows of 1\n", ctl("test", "large", "--from", "203.0.113.1"))
    # A network as large as this is no link's.
    has("by a tunnel", {"source": "routed", "gateway": None, "burst": 16}, source("16.0.0.1"))
    matches("test", "*16.0.0.1 is neither on *: 16 *", ctl("test", "large", "--from", "16.0.0.1"))
    has("link-local, in the VRF", {"source": "link", "interface": "blue0"}, source("fe80::7%blue0"))
    # Only the VRF is served now.
    has("outside of it", {"source": "unserved"}, source(CLIENT))
    has("link-local, outside of it", {"source": "unserved"}, source("fe80::7%to-client"))
    ctl("unlisten", "*", "dev", "blue")
    wanted = {"source": "unserved", "gateway": None, "burst": None, "window_size": None}
    has("without a listener", wanted, source(CLIENT))
    done = execute("tftpkctl", "-n", "server", "test", "large", "--from", "fe80::7")
    matches("without an interface", "*a link-local address needs an interface*", done.stderr)
    equal("status", 1, done.returncode)


# ---- shadow ----


@test("shadow tells of requests that would be answered otherwise", ())
def _():
    ctl("export", ROOT)
    ctl("export", BOOT, "--as", "boot")
    defer((ROOT / "file").chmod, 0o644)
    (ROOT / "file").chmod(0o600)
    lines = [
        f"host in.tftpd[1]: RRQ from {CLIENT} filename large",
        f"host in.tftpd[2]: RRQ from {CLIENT} filename file",
        f"host in.tftpd[3]: RRQ from {CLIENT} filename file",
        f"host in.tftpd[4]: RRQ from {CLIENT6} filename nowhere",
        f"host in.tftpd[4]: sending NAK (1, File not found) to {CLIENT6}",
        f"host in.tftpd[5]: RRQ from 203.0.113.1 filename large",
        f"host in.tftpd[6]: RRQ from {CLIENT} filename boot/file remapped to only",
        f"host in.tftpd[7]: RRQ from fe80::7 filename boot/only remapped to boot/only",
        f"host in.tftpd[8]: WRQ from {CLIENT} filename new",
        f"dnsmasq-tftp[9]: sent {BOOT}/file to {CLIENT}",
        f"dnsmasq-tftp[9]: sent {ROOT}/gone to {CLIENT}",
        f"dnsmasq-tftp[9]: file {BOOT}/only not found for {CLIENT}",
        f"host atftpd[9]: Serving large to {CLIENT6}:1025",
        "host systemd[1]: Started.",
    ]
    wanted = f"""\
{CLIENT}: file, 2 times: was sent; now refused: ERROR 2, access violation (no regular file, or not for the user in 'tftpkctl show')
203.0.113.1: large: was sent; now refused: there is no route to this client
{CLIENT}: boot/file: was sent as only; now served: {BOOT}/file, 9 bytes, by export *
{CLIENT}: new: was taken; now refused: uploads is off
{CLIENT}: {ROOT}/gone: was sent; now refused: ERROR 1, file not found (in no export that 'tftpkctl show' lists)
{CLIENT}: {BOOT}/only: was refused; now served: {BOOT}/only, 9 bytes, by export *
lines: 14, requests: 12, different: 11, answered otherwise: 6
"""
    log = WORK / "log"
    log.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    done = execute("tftpkctl", "-n", "server", "shadow", log)
    matches("shadow", wanted, done.stdout)
    equal("status and errors", (1, ""), (done.returncode, done.stderr))
    done = execute("tftpkctl", "-n", "server", "-j", "shadow", log)
    said = json.loads(done.stdout)["shadow"]
    has("shadow", {"lines": 14, "requests": 12, "distinct": 11}, said)
    has("the first", {"client": CLIENT, "name": "file", "served": True, "count": 2}, said["differences"][0])
    has("its answer", {"served": False, "error_code": 2}, said["differences"][0]["answer"])
    log.write_text(f"{lines[0]}\n{lines[4]}\n", encoding="utf-8")
    wanted = "lines: 2, requests: 1, different: 1, answered otherwise: 0\n"
    equal("no difference", wanted, ctl("shadow", log))


# ---- kill and drain ----


def ended(transfer):
    """The server ended that transfer: the client is told, after the block that it
    has acknowledged last.
    """
    transfer.step()
    transfer.client.expect(Error, code=Code.UNDEFINED, text="no longer served")


@test("kill ends a transfer, or a client's", ())
def _():
    ctl("export", ROOT)
    first, second = paused(FOUR, "large"), paused(SIX, "large")
    growth = Growth()
    number = transfers()[0]["id"]
    for whom in (2**32 - 1, f"{CLIENT}:9", "203.0.113.1"):
        refuses("*no such transfer*", "kill", whom)
    equal("kill", f"ended transfer {number}\n", ctl("kill", number))
    growth.expect(transfers_active=1, transfers_failed=1)
    ended(first)
    equal("kill", f"ended all transfers of {CLIENT6}\n", ctl("kill", CLIENT6))
    growth.expect(transfers_active=0, transfers_failed=2)
    ended(second)
    port = paused(FOUR, "large").client.port
    wanted = {"kill": {"id": None, "client_address": CLIENT, "client_port": port}}
    equal("kill", wanted, told("kill", f"{CLIENT}:{port}"))
    growth.expect(transfers_active=0, transfers_failed=3)


@test("of 200 transfers each is listed once, and kill ends that one", ())
def _():
    ctl("export", ROOT)
    ctl("set", "source-burst", 0)
    defer(ctl, "set", "source-burst", 64)
    growth = Growth()
    for _ in range(200):
        paused(FOUR, "large")
    numbers = [transfer["id"] for transfer in transfers()]
    equal("listed", (200, sorted(set(numbers))), (len(numbers), numbers))
    for number in numbers[::8]:
        ctl("kill", number)
    growth.expect(transfers_active=175, transfers_failed=25)
    refuses("*no such transfer*", "kill", numbers[0])
    left = [number for number in numbers if number not in numbers[::8]]
    paused(FOUR, "large")
    *others, newest = (transfer["id"] for transfer in transfers())
    equal("left", left, others)
    assert newest > numbers[-1], "an id is used again"
    ctl("kill", CLIENT)
    growth.expect(transfers_active=0, transfers_failed=201)
    equal("listed", [], transfers())


@test("drain refuses, waits, and ends by undrain", ())
def _():
    ctl("export", ROOT)
    paused(FOUR, "large")
    equal("drain", "taking no requests; 1 transfer is running\n", ctl("drain"))
    shows("draining, *")
    growth = Growth()
    with Client(FOUR) as client:
        client.request("file")
        client.expect_silence(2)
    growth.expect(transfers_active=1, transfers_started=0, requests=1, requests_dropped=1)
    refuses("*not done after 1s*", "drain", "--wait=1s")
    equal("transfers", 1, told("drain")["drain"]["transfers"])
    waiting = start("tftpkctl", "-n", "server", "drain", "--wait", stdout=subprocess.PIPE, text=True)
    time.sleep(1)
    equal("status of drain --wait", None, waiting.poll())
    ctl("kill", CLIENT)
    equal("drain --wait", "taking no requests; no transfer is running\n", waiting.stdout.read())
    equal("undrain", "taking requests\n", ctl("undrain"))


def health(status, wanted, *words, who=()):
    """What a check is told: by the exit status, and a line for a person."""
    done = execute(*who, "tftpkctl", "health", *words, netns="server")
    equal(f"health {words}", (status, ""), (done.returncode, done.stderr))
    matches("health", f"{wanted}\n", done.stdout)


@test("health: whether requests are taken, and a file is there", ())
def _():
    health(1, "not healthy: nothing is exported*")
    ctl("export", ROOT)
    health(0, "healthy: 2 listeners, 0 transfers")
    health(0, "healthy: 2 listeners, 0 transfers", "large")
    health(1, "not healthy: missing is refused: ERROR 1, file not found*", "missing")
    growth = Growth()
    transfer = paused(FOUR, "large")
    health(0, "healthy: 2 listeners, 1 transfer", "large")
    growth.expect(requests=1)

    ctl("drain")
    for words in (), ("large",), ("missing",):
        health(1, "not healthy: draining, *", *words)
    got = json.loads(execute("tftpkctl", "-n", "server", "-j", "health").stdout)
    wanted = {"healthy": False, "draining": True, "transfers": 1}
    equal("JSON", wanted, {key: got[key] for key in wanted})
    matches("reason", "draining, *", got["reason"])
    ctl("undrain")
    got = told("health", "large")
    equal("JSON", {"healthy": True, "reason": None, "draining": False, "transfers": 1}, got)
    same(LARGE, transfer.finish())


@test("health: for whom, and who may look", ())
def _():
    ctl("export", ROOT, "--for", "192.0.2.0/24")
    health(1, "not healthy: large is refused: ERROR 1, *", "large")
    health(0, "healthy: *", "large", "--from", CLIENT)
    health(1, "not healthy: large is refused: ERROR 1, *", "large", "--from", CLIENT6)
    health(1, "not healthy: there is no route to 203.0.113.7", "large", "--from", "203.0.113.7")
    ctl("listen", "::1")
    health(1, f"not healthy: no listener takes requests of {CLIENT}", "large", "--from", CLIENT)
    ctl("unlisten", "::1")
    ctl("listen", "*", "dev", "no-such")
    health(1, "not healthy: all listeners wait for their interfaces*")
    nobody = as_user("65534", ())
    health(1, "not healthy: all *", who=nobody)
    ctl("unlisten", "*", "dev", "no-such")
    ctl("listen", "*")
    health(0, "healthy: *", who=nobody)
    fails(1, "tftpkctl: health large: *", *nobody, "tftpkctl", "health", "large", netns="server")


@test("monitor tells that the server drains, once", ())
def _():
    ctl("export", ROOT)
    monitor = Monitor()
    for command in ("drain", "drain", "undrain", "undrain", "set draining on"):
        ctl(*command.split())
    ctl("set", "give-up", "31", "draining", "off")
    monitor.tells(DRAIN, UNDRAIN, DRAIN, UNDRAIN)
    equal("content", b"of the root", answer("file"))


# ---- monitor ----

# What differs from run to run, in lines of a monitor.
VARIABLE = (
    (rf"{re.escape(CLIENT)}:\d+", "CLIENT"),
    (r"#\d+", "#N"),
    (rf"{ROOT}/large as large", "LARGE"),
    (r"(\d+ |\d+\.\d [kMG])B/s", "RATE"),
    (r"\d+\.\d{3} s, RATE", "TIME"),
    (r"RTT \d+\.\d\dms", "RTT"),
    # Told with the first refill, of 64 KiB or 7% of LARGE, after each step.
    *((rf" ({'|'.join(map(str, range(step, step + 7)))})% of", f" {step}% of") for step in (25, 50, 75)),
)


DRAIN = "drain    no requests are taken any more"
UNDRAIN = "undrain  requests are taken again"


class Monitor:
    """Lines that `tftpkctl monitor` prints, until the test is over."""

    def __init__(self, *options, who=()):
        self.path = WORK / "events"
        self.seen = 0
        words = (*who, "tftpkctl", "monitor", *options)
        with open(self.path, "wb") as out, open(WORK / "errors", "wb") as err:
            self.process = start(*words, netns="server", stdout=out, stderr=err)
        wait_for("the monitor to listen", subscribed)

    def lines(self, count):
        """That many lines, and what came with them."""

        def there():
            lines = self.path.read_text(encoding="utf-8").splitlines()[self.seen :]
            return len(lines) >= count and lines

        lines = wait_for(f"{count} events", there)
        self.seen += len(lines)
        return lines

    def tells(self, *wanted, order=list):
        """The next lines, and no others so far, but for what varies."""
        got = self.lines(len(wanted))
        for pattern, word in VARIABLE:
            got = [re.sub(pattern, word, line) for line in got]
        equal("events", order(wanted), order(got))


def probe(name):
    """Ask for a size, then end the transfer, as boot ROMs do."""
    with Client(FOUR) as client:
        client.open(name, ("tsize", 0))
        client.error(Code.OPTION, "User aborted the transfer")


def refusal(name, text):
    """A client that asks for it gets that ERROR 0."""
    with Client(FOUR) as client:
        client.request(name)
        client.expect(Error, code=Code.UNDEFINED, text=text)


@test("monitor tells who booted what, and tells probes from failures", ())
def _():
    options = "blocks of 512, window 1, timeout 255 s"
    asked = "request  CLIENT #N large"
    begun = (asked, f"start    CLIENT #N LARGE, 1000000 bytes, {options}")
    ctl("export", ROOT)
    ctl("set", "progress", "25")
    monitor = Monitor()

    same(LARGE, paused(FOUR, "large").finish())
    monitor.tells(
        *begun,
        "progress CLIENT #N LARGE, 25% of 1000000 bytes, RATE",
        "progress CLIENT #N LARGE, 50% of 1000000 bytes, RATE",
        "progress CLIENT #N LARGE, 75% of 1000000 bytes, RATE",
        f"complete CLIENT #N LARGE, 1000000 bytes in TIME, 0 resent, RTT, {options}",
    )
    probe("large")
    probed = "CLIENT #N LARGE, 1000000 bytes, blocks of 512, window 1"
    monitor.tells(asked, f"start    {probed}", f"probe    {probed}")
    with Client(FOUR) as client:
        client.request("missing")
        client.expect(Error)
    monitor.tells("request  CLIENT #N missing", "refused  CLIENT #N missing: ERROR 1, file not found")

    abort = "abort    CLIENT #N LARGE, 1024 of 1000000 bytes in TIME, 0 resent, RTT, "
    paused(FOUR, "large")
    ctl("kill", CLIENT)
    monitor.tells(*begun, f"{abort}{options}: ERROR 0, no longer served")
    transfer = paused(FOUR, "large")
    os.utime(ROOT / "large")
    with contextlib.suppress(Unexpected):
        same(LARGE, transfer.finish())
    abort = abort.replace("1024", str(transfer.blocks * 512))
    monitor.tells(*begun, f"{abort}{options}: ERROR 0, file changed")
    with Client(FOUR) as client:
        client.open("large", ("timeout", 1))
        client.ack(0)
        client.block(1)
        client.close()
        options = options.replace("255", "1")
        monitor.tells(
            asked,
            f"start    CLIENT #N LARGE, 1000000 bytes, {options}",
            "abort    CLIENT #N LARGE, 0 of 1000000 bytes in TIME, 1 resent, RTT, "
            f"{options}: the client is gone",
        )

    ctl("set", "reply-at-limit", "on")
    ctl("drain")
    refusal("large", "server is draining")
    monitor.tells(DRAIN, "refused  CLIENT large: server is draining")
    ctl("undrain")
    paused(FOUR, "large")
    monitor.tells(UNDRAIN, *begun)
    for limits, text in (
        (("max-per-client", "1"), "too many transfers of this client"),
        (("max-per-client", "0", "max-transfers", "1"), "too many transfers"),
    ):
        ctl("set", *limits)
        refusal("large", text)
        monitor.tells(f"refused  CLIENT large: {text}")


@test("monitor tells what odd clients ask for", ())
def _():
    ctl("export", ROOT)
    monitor = Monitor()
    with Client(FOUR) as client:
        client.request(b"file\xff\xd1\x33")
        client.block(1)
        client.ack(1)
        client.peer = None
    name = '"file\\xff\\xd13"'
    got = monitor.lines(3)
    matches("request", f"request  * {name}", got[0])
    matches("start", f"start    * {ROOT}/file as {name}, *", got[1])
    for mode, text in ((b"file\0binary\0", "unknown mode"), (b"file\0", "no mode"), (b"file\0octet", "no mode")):
        with Client(FOUR) as client:
            client.send(b"\0\1" + mode, client.listener)
            client.expect(Error, code=Code.OPERATION, text=text)
        monitor.tells(f"refused  CLIENT file: ERROR 4, {text}")


@test("monitor as JSON, an object a line", ())
def _():
    ctl("export", ROOT)
    monitor = Monitor("-j")
    before = time.time()
    same(LARGE, paused(FOUR, "large").finish())
    probe("large")
    with Client(FOUR) as client:
        client.request('no"such\\file')
        client.expect(Error)
    events = [json.loads(line) for line in monitor.lines(8)]
    kinds = ["request", "start", "end", "request", "start", "end", "request", "refused"]
    equal("types", kinds, [event["type"] for event in events])
    for event in events:
        assert before * 1000 - 1 <= event["time"] <= time.time() * 1000, event
    whole, probed, none = events[2], events[5], events[7]
    wanted = {
        "outcome": "completed",
        "name": "large",
        "file": f"{ROOT}/large",
        "client_address": CLIENT,
        "server_address": FOUR,
        "size": 1_000_000,
        "acknowledged": 1_000_000,
        "block_size": 512,
        "window_size": 1,
        "timeout": 255,
        "error_code": None,
        "rate": 1_000_000_000 // whole["duration"],
    }
    has("end", wanted, whole)
    assert whole["rtt"] > 0, whole
    has("probe", {"outcome": "probed", "name": "large"}, probed)
    wanted = {"error_code": 1, "reason": "file not found", "name": 'no"such\\\\file'}
    has("refusal", wanted, none)


@test("monitor tells of requests that gave way to others", (), timed=True)
def _():
    """Requests whose transfer ends before its file is open: all of them come at one
    instant for the server.
    """
    ctl("export", ROOT)
    ctl("set", "max-unverified", "1")
    monitor = Monitor()
    clients = [during(Client(FOUR)) for _ in range(41)]
    with netem("slot 1s 1s"):
        clients[0].request("file")
        clients[0].request("bootfile")
        for client in clients[1:]:
            client.request("file")
        time.sleep(2)
    monitor.tells(
        "refused  CLIENT #N file: the client began anew, or somebody forged its packets",
        "refused  CLIENT #N bootfile: it gave way to newer requests",
        *(39 * ["refused  CLIENT #N file: it gave way to newer requests"]),
        "request  CLIENT #N file",
        f"start    CLIENT #N {ROOT}/file as file, 11 bytes, blocks of 512, window 1",
        order=sorted,
    )


@test("monitor is for CAP_NET_ADMIN, and so is what file a client fetches", ())
def _():
    ctl("export", ROOT)
    nobody = as_user(65534, ())
    fails(1, "tftpkctl: monitor: *CAP_NET_ADMIN*", *nobody, "tftpkctl", "monitor", netns="server")
    transfer = paused(FOUR, "large")
    for who, file in ((as_user(65534, ["net_admin"]), f"{ROOT}/large"), (nobody, None)):
        listed = json.loads(command(*who, "tftpkctl", "-j", "transfers", netns="server"))
        equal("file and size", [(file, 1_000_000)], [(t["file"], t["size"]) for t in listed])
    transfer.finish()


@test("monitor says what it lost, and goes on", ())
def _():
    ctl("export", ROOT)
    monitor = Monitor(who=as_user(65534, ["net_admin"]))
    growth = Growth()
    monitor.process.send_signal(signal.SIGSTOP)
    while not growth["events_dropped"]:
        for _ in range(100):
            with Client(FOUR) as client:
                client.request("file")
                client.peer = None
    monitor.process.send_signal(signal.SIGCONT)
    lost = r"lost     events came faster than they were read, \d+ so far .*"
    lines = []
    while not any(re.fullmatch(lost, line) for line in lines):
        lines = monitor.lines(1)
    answer("file")
    monitor.lines(1)


@test("monitor ends with its reader", ())
def _():
    ctl("export", ROOT)
    # A pipe that nobody reads any more ends it without any event.
    reader, writer = os.pipe()
    os.close(reader)
    monitor = start("tftpkctl", "-n", "server", "monitor", stdout=writer)
    os.close(writer)
    equal("status", 0, monitor.wait(PATIENCE))


# ---- files ----

CONF = WORK / "conf"


def synced(*lines):
    """Make the configuration that; what was changed."""
    if lines:
        CONF.write_text("\n".join(("set source-burst 0", *lines, "")), encoding="utf-8")
    return ctl("sync", CONF).splitlines()


NOTHING = ["nothing to change"]


def unnumbered(text):
    """What `show` prints, but for the numbers of exports."""
    return re.sub(r"^ *\d+ ", "", text, flags=re.MULTILINE)


@test("save and sync: nothing to change; restore: all of it", ())
def _():
    ip("server", "link add odd type dummy")
    defer(ip, "server", "link delete odd")
    defer(blank)
    odd = SRV / 'a "b\\\tc\n\udcff'
    odd.mkdir()
    ctl("export", ROOT)
    words = ("--no-symlinks", "--max-blksize", 1024, "--min-timeout", 0, "--rollover", 1, "--no-tsize")
    ctl("export", odd, "--as", "x y", "--uid", 0, "--gid", 0, *words)
    for line in (
        "listen * --single-port --broadcast",
        f"listen [{SIX}]:1069",
        "listen [fe80::1%odd]:1070",
        "listen 198.51.100.1:1071 dev odd",
        "trust 10.0.0.0/8",
        "trust 2001:db8::/32",
        "set give-up 1m port-range 40000-40100 zerocopy off max-pinned 17 progress 5",
        "drain",
    ):
        ctl(*line.split())
    before = ctl("show")
    saved = WORK / "saved"
    ctl("save", saved)
    equal("mode", 0o644, saved.stat().st_mode & 0o7777)
    text = saved.read_text(encoding="utf-8")
    equal("save", text, ctl("save"))
    # A state, and no part of the configuration.
    equal("sync", "set draining off\n", ctl("sync", saved))
    ctl("drain")
    saved.write_text(text + "set draining on\n", encoding="utf-8")
    equal("sync", "nothing to change\n", ctl("sync", saved))
    refuses("restore *: something is configured already*", "restore", saved)
    ctl("sync", "-")
    shows("*nothing is exported*nothing listens*")
    restored = told("restore", saved)["restore"]
    got = (len(restored), restored[0], restored[-3])
    equal("restore", (16, "set zerocopy off", "listen 198.51.100.1:1071 dev odd"), got)
    equal("show", unnumbered(before), unnumbered(ctl("show")))


@test("sync changes what differs; a transfer survives it", ())
def _():
    synced("listen *", f"export {ROOT}", f'export "{WORDS}" --as words')
    transfer = paused(FOUR, "large")
    growth = Growth()
    wanted = [
        "set max-transfers 77",
        "set give-up 40",
        "trust 10.0.0.0/8",
        "listen 198.51.100.1:70",
        f'unexport "{WORDS}" --as words',
        f"export {BOOT} --as boot",
    ]
    got = synced(
        "# The same, but for what no transfer notices.",
        "set give-up 40s   max-transfers 77",
        "trust 10.1.2.3/8",
        "listen *",
        "listen 198.51.100.1:70",
        f"export {BOOT} --as boot",
        f"export {ROOT}",
    )
    equal("what was changed", wanted, got)
    equal("what was changed", NOTHING, synced())
    growth.expect(transfers_active=1, transfers_failed=0, transfers_aborted=0)
    transfer.step(100)
    # Another user is another export.
    CONF.write_text(CONF.read_text(encoding="utf-8").replace("/root\n", "/root --uid 0\n"), encoding="utf-8")
    equal("what was changed", [f"unexport {ROOT} --as /", f"export {ROOT} --uid 0"], synced())
    growth.expect(transfers_active=0, transfers_failed=1)
    ended(transfer)


@test("a file without listeners stands for those of the first export", ())
def _():
    ctl("export", ROOT)
    transfer = paused(FOUR, "large")
    equal("what was changed", NOTHING, synced(f"export {ROOT}"))
    assert "listen" not in ctl("save"), "a listener was saved"
    same(LARGE, transfer.finish())
    # From listeners of its own back to those of an export.
    equal("what was changed", [f"listen {FOUR}:69"], synced(f"listen {FOUR}", f"export {ROOT}"))
    wanted = [f"unlisten {FOUR}:69", "listen 0.0.0.0:69", "listen [::]:69"]
    equal("what was changed", wanted, synced(f"export {ROOT}"))
    equal("content", b"of the root", answer("file"))
    equal("what was changed", NOTHING, synced())


@test("sync keeps the order that decides", ())
def _():
    synced(f"export {BOOT}", f"export {ROOT}")
    served("file", "boot/file")
    got = synced(f"export {ROOT}", f"export {BOOT}")
    served("file", "root/file")
    equal("what was changed", [f"unexport {BOOT} --as /", f"export {BOOT}"], got)


@test("sync renews the export of a folder that was replaced", ())
def _():
    moving, moved = SRV / "moving", SRV / "moved"
    make("moving/page", b"old")
    defer(shutil.rmtree, moved)
    defer(shutil.rmtree, moving)
    synced(f"export {moving}")
    moving.rename(moved)
    make("moving/page", b"new")
    equal("content before", b"old", answer("page"))
    equal("what was changed", [f"unexport {moving} --as /", f"export {moving}"], synced())
    equal("content after", b"new", answer("page"))
    equal("exports", 1, len(told("show")["exports"]))


@test("what cannot be had changes nothing", ())
def _():
    synced("set gso off", "trust 10.0.0.0/8", f"listen {FOUR}", f"export {ROOT}")
    occupy(1069)
    before = ctl("show")
    broken = WORK / "broken"
    for lines, pattern in (
        (
            "export /\n\n  export / --uid nobody-at-all\n",
            f"{broken}:3:18: export: --uid nobody-at-all: no such user",
        ),
        (f"export {BOOT}\nexport {SRV}/none\n", f"{broken}:2:8: export {SRV}/none: no such folder*"),
        (
            f"set zerocopy off\nlisten {FOUR}:70\nlisten {FOUR}:1069\nexport {BOOT}\n",
            f"sync {broken}: listen *:1069: something listens there already*",
        ),
    ):
        broken.write_text(lines, encoding="utf-8")
        refuses(pattern, "sync", broken)
        equal("show", before, ctl("show"))
    equal("content", b"of the root", answer("file"))


@test("save replaces a file, not a link or a pipe", ())
def _():
    ctl("export", ROOT)
    lines = ["set source-burst 0", f"export {ROOT}"]
    real, link, pipe = WORK / "real", WORK / "link", WORK / "pipe"
    real.touch()
    real.chmod(0o600)
    os.chown(real, 65534, -1)
    link.symlink_to("real")
    ctl("save", link)
    assert link.is_symlink(), "the link was replaced"
    text = real.read_text(encoding="utf-8")
    equal("last line", f"export {ROOT}", text.splitlines()[-1])
    there = real.stat()
    equal("mode and owner", (0o600, 65534), (there.st_mode & 0o7777, there.st_uid))
    os.mkfifo(pipe)
    with open(os.open(pipe, os.O_RDONLY | os.O_NONBLOCK), encoding="utf-8") as reader:
        ctl("save", pipe)
        equal("what came by a pipe", text, reader.read())
    refuses("save: cannot write /proc/nothing: *", "save", "/proc/nothing")
    refuses("save: cannot write /dev/full: *space*", "save", "/dev/full")
    equal("save", {"save": {"file": None, "lines": lines}}, told("save"))


# ---- limits of a path ----


@test("paths of the greatest length are listed, and what follows them", ())
def _():
    # Twice what a page holds has to fit into one entry of a list.
    name = "0" * 200
    deep, prefix = f"{SRV}/deep", name
    while len(deep) < 3880:
        deep += f"/{name}"
    deep += f"/{name[:4092 - len(deep)]}"
    while len(prefix) < 3880:
        prefix += f"/{name}"
    make(f"{deep}/f", LARGE)
    defer(shutil.rmtree, SRV / "deep")
    for words in ((BOOT,), (deep, "--as", prefix), (deep,), (ROOT,)):
        ctl("export", *words)
    exports = told("show")["exports"]
    equal("folders", [str(BOOT), deep, deep, str(ROOT)], [export["path"] for export in exports])
    equal("prefix", prefix, exports[1]["prefix"])
    for server, file in ((FOUR, "large"), (SIX, "large"), (FOUR, "f")):
        paused(server, file)
    wanted = [f"{ROOT}/large", f"{ROOT}/large", f"{deep}/f"]
    equal("files", sorted(wanted), sorted(transfer["file"] for transfer in transfers()))
    ctl("save", WORK / "saved")
    equal("sync", "nothing to change\n", ctl("sync", WORK / "saved"))


@test("warm reads a tree into the page cache", ())
def _():
    folder = during(disk("ext4", 16))
    files = [folder / "tree/one", folder / "two"]
    for path, size in zip(files, (300_000, 40_000)):
        make(path, content(size))
    drop_caches()
    equal("pages cached before", [0, 0], [cached(path) for path in files])
    matches("warm", f"{folder}: 2 files, 340000 bytes *\n", ctl("warm", folder))
    equal("pages cached after", [74, 10], [cached(path) for path in files])
    refuses("warm */none: No such file*", "warm", folder / "none")


# ---- metrics, top ----

# Families of both formats, whose samples have no label but a bucket's bound:
# exposition = *family ["# EOF" LF]
# family = "# TYPE " name " " type LF "# HELP " name " " text LF 1*sample
FAMILY = re.compile(
    r"# TYPE ([a-zA-Z_:][a-zA-Z0-9_:]*) (counter|gauge|histogram)\n"
    r'# HELP \1 ((?:[^\\\n"]|\\[\\n"])+)\n'
    r'((?:\1(?:_[a-z]+)?(?:\{le="[^"]+"\})? [0-9.]+\n)+)'
)
SAMPLE = re.compile(r'(\S+?)(?:\{le="([^"]+)"\})? (\S+)\n')


def families(text):
    """By name: type and samples, as (name, bound, value)."""
    at, seen = 0, {}
    while match := FAMILY.match(text, at):
        name, kind, _, samples = match.groups()
        assert name not in seen, name
        seen[name] = kind, SAMPLE.findall(samples)
        at = match.end()
    return seen, text[at:]


def samples_of(key, histogram):
    """What a histogram of -j is in these formats."""
    scale, unit = (1, "bytes_per_second") if key == "rate" else (1e6, "seconds")
    name = f"tftpk_{key}_{unit}"
    counts = itertools.accumulate(bucket["count"] for bucket in histogram["buckets"])
    bounds = [bucket["at_most"] for bucket in histogram["buckets"]]
    equal("bounds", sorted(bounds[:-1]) + [None], bounds)
    rows = [(f"{name}_bucket", "+Inf" if most is None else most / scale, count) for most, count in zip(bounds, counts)]
    return name, [*rows, (f"{name}_sum", "", histogram["sum"] / scale), (f"{name}_count", "", rows[-1][2])]


def as_numbers(samples):
    return [(name, bound if bound in ("", "+Inf") else float(bound), float(value)) for name, bound, value in samples]


def check_metrics(form):
    seen, end = families(ctl("stats", f"--{form}"))
    stats = told("stats")
    histograms = stats.pop("histograms")
    equal("end", "# EOF\n" if form == "openmetrics" else "", end)
    for key, value in stats.items():
        gauge = key in ("transfers_active", "bytes_pinned")
        sample = f"tftpk_{key}" + ("" if gauge else "_total")
        family = sample.removesuffix("_total") if form == "openmetrics" else sample
        equal(key, ("gauge" if gauge else "counter", [(sample, "", str(value))]), seen.pop(family))
    for key, histogram in histograms.items():
        name, samples = samples_of(key, histogram)
        kind, got = seen.pop(name)
        equal(name, ("histogram", samples), (kind, as_numbers(got)))
    equal("nothing else", {}, seen)
    assert stats["requests"] > 0, stats


@test("metrics follow the grammars of Prometheus and OpenMetrics", ())
def _():
    ctl("export", ROOT)
    answer("file")
    for form in ("openmetrics", "prometheus"):
        check_metrics(form)


def histogram_counts():
    """By name: transfers in all, and the sum."""
    histograms = told("stats")["histograms"]
    return {key: (sum(b["count"] for b in h["buckets"]), h["sum"]) for key, h in histograms.items()}


@test("a transfer counts once in each histogram", ())
def _():
    ctl("export", ROOT)
    before = histogram_counts()
    same(LARGE, answer("large"))
    after = histogram_counts()
    grown = {key: (after[key][0] - before[key][0], after[key][1] - before[key][1]) for key in after}
    equal("transfers", dict.fromkeys(("first_block", "round_trip", "duration", "rate"), 1), {k: n for k, (n, _) in grown.items()})
    # What it had to wait for is within what it took.
    assert 0 < grown["first_block"][1] < grown["duration"][1], grown
    assert 0 < grown["round_trip"][1] < grown["duration"][1], grown
    # A refused request is nobody's wait.
    refused = histogram_counts()
    with Client(FOUR) as client:
        client.request("nothing-there")
        client.expect(Error, code=Code.NOT_FOUND)
    equal("of a refused request", refused, histogram_counts())
    matches("text", "*\nfirst-block           *, 50% * [mu]s, 99% *", ctl("stats"))


class Top:
    """`tftpkctl top` on a terminal of its own."""

    def __init__(self, term):
        self.terminal, other = pty.openpty()
        defer(os.close, self.terminal)
        words = ("setsid", "--ctty", "tftpkctl", "-n", "server", "top")
        env = os.environ | {"TERM": term}
        self.process = start(*words, stdin=other, stdout=other, stderr=other, env=env)
        os.close(other)

    def resize(self, lines, columns):
        fcntl.ioctl(self.terminal, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def expect(self, wanted):
        """Read what is printed until it matches."""
        got = b""
        while not re.search(wanted, got, re.DOTALL):
            if not select.select([self.terminal], [], [], PATIENCE)[0]:
                raise AssertionError(f"{wanted} did not come: {got}")
            got += os.read(self.terminal, 65536)


@test("top: 80 by 24, other sizes, no terminal", ())
def _():
    ctl("export", ROOT)
    for server in (FOUR, SIX):
        paused(server, "large")
    refuses("top: needs a terminal*", "top")
    top = Top("linux")
    top.resize(24, 80)
    top.expect(
        rb"2 transfers, .*CLIENT.*192\.0\.2\.2:.*/root/large.*\[[#.]+\d+%[#.]+\].*B/s.*"
        rb"\[2001:db8::2\]:.*q quits"
    )
    top.resize(5, 120)
    top.expect(rb"2 transfers, .*192\.0\.2\.2:.*arrows")
    os.write(top.terminal, b"\x1b[B")
    top.expect(rb"\[2001:db8::2")
    top.resize(2, 10)
    top.expect(rb"2 transfer")
    top.resize(24, 80)
    top.expect(rb"q quits")
    os.write(top.terminal, b"q")
    equal("status", 0, top.process.wait(PATIENCE))

    top = Top("nonsense")
    top.expect(rb"unknown terminal 'nonsense'")
    equal("status", 1, top.process.wait(PATIENCE))


# ---- the end ----


@test("monitor ends when the module is unloaded", ())
def _():
    ctl("export", ROOT)
    monitor = Monitor()
    defer(load)
    command("rmmod", "tftpk")
    equal("status", 1, monitor.process.wait(PATIENCE))
    said = (WORK / "errors").read_text(encoding="utf-8")
    equal("message", "tftpkctl: monitor: the tftpk module was unloaded\n", said)


command("modprobe", "-a", "vrf", "dummy")
run(module())
