# SPDX-License-Identifier: GPL-2.0
"""The server: its module, its namespace, what is configured and what it counts."""

import contextlib
import json
import os
import pathlib
import socket
import struct
import time

from . import ktap
from .genl import TFTPK, Genl
from .host import (
    CLIENTS, DEBUG_KERNEL, PATIENCE, SERVERS, SRV, WORK, command, inside, ip, namespaces, pause, wait_for,
)
from .tftp import Client, Code, Error, Transfer

MODULE = os.environ.get("TFTPK_KO")
LOAD = ("insmod", MODULE) if MODULE else ("modprobe", "tftpk")


# ---- where tests run ----


def load():
    command(*LOAD)


def loaded():
    return os.path.isdir("/sys/module/tftpk")


def unload():
    command("rmmod", "tftpk")
    gone()


def gone():
    """Nothing of the module is there."""
    ktap.equal("the module is loaded", False, loaded())
    slabs = pathlib.Path("/proc/slabinfo").read_text(encoding="ascii")
    ktap.equal("its slab caches are there", False, "\ntftpk_" in slabs)


def wants_debug_kernel():
    if not DEBUG_KERNEL:
        ktap.skip("wants the debug kernel")


@contextlib.contextmanager
def topology():
    """The two namespaces, this thread in that of the client."""
    with namespaces("server", "client"):
        ip("server", "link add to-client type veth peer name to-server netns client")
        for netns, device, where in (("server", "to-client", SERVERS), ("client", "to-server", CLIENTS)):
            ip(
                netns,
                f"addr add {where['IPv4']}/24 dev {device}",
                f"addr add {where['IPv6']}/64 dev {device} nodad",
                f"link set {device} up",
            )
        with inside("client"):
            yield


def unmount_all():
    """Whatever is mounted below the tests' folder, the last one first."""
    for line in reversed(pathlib.Path("/proc/mounts").read_text(encoding="utf-8").splitlines()):
        where = line.split()[1]
        if where.startswith(f"{WORK}/"):
            command("umount", where.encode().decode("unicode_escape"))


@contextlib.contextmanager
def module():
    """Namespaces and the module, nothing exported. Tests ask more often than any
    client, so no source is limited. After each no transfer is left.
    """
    with topology():
        ktap.after.append(settled)
        try:
            if not loaded():
                load()
            ctl("set", "source-burst", "0")
            yield
        finally:
            ktap.after.remove(settled)
            if loaded():
                command("rmmod", "tftpk")
            unmount_all()


@contextlib.contextmanager
def served():
    """All of that, and the folder SRV exported."""
    with module():
        ctl("export", SRV)
        fence()
        yield


def settled():
    if loaded():
        idle()


# ---- configuration ----


def ctl(*words, netns="server", stdin=""):
    """tftpkctl for a namespace; what it prints."""
    return command("tftpkctl", "-n", netns, *words, stdin=stdin)


def refuses(pattern, *words, status=1):
    """tftpkctl for the server has to fail, with such a message."""
    ktap.fails(status, f"tftpkctl: {pattern}", "tftpkctl", "-n", "server", *words)


def blank():
    """Nothing is configured any more, but for what module() sets."""
    ctl("sync", "-", stdin="set source-burst 0\n")


def told(*words, netns="server"):
    """What tftpkctl tells as JSON."""
    return json.loads(ctl("-j", *words, netns=netns))


def shows(*patterns, netns="server"):
    """What `tftpkctl show` prints matches all of these."""
    for pattern in patterns:
        ktap.matches("show", pattern, ctl("show", netns=netns))


def word(value):
    """A setting as `tftpkctl set` takes it."""
    if isinstance(value, bool):
        return "on" if value else "off"
    return "any" if value is None else str(value)


@contextlib.contextmanager
def settings(**changed):
    """Settings meanwhile, of any kind."""
    before = told("get")

    def put(values):
        ctl("set", *(w for key, value in values for w in (key.replace("_", "-"), word(value))))

    put(changed.items())
    try:
        yield
    finally:
        put((key, before[key]) for key in changed)


@contextlib.contextmanager
def exported(folder, *words):
    """One more export meanwhile."""
    ctl("export", folder, *words)
    try:
        yield
    finally:
        ctl("unexport", folder)


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
        # Listen as an export makes it, on port 69 of all addresses.
        ctl("unexport", SRV)
        ctl("export", SRV)


@contextlib.contextmanager
def trusting(network):
    ctl("trust", network)
    try:
        yield
    finally:
        ctl("untrust", network)


def state(netns="server"):
    """All that commands could change; quicker than tftpkctl."""
    with Genl(netns) as netlink:
        lists = [netlink.dump(TFTPK[f"TFTPK_CMD_{what}_GET"]) for what in ("EXPORT", "LISTENER", "TRUST")]
        for export in lists[0][1]:
            del export[TFTPK["TFTPK_A_EXPORT_ID"]]
        return lists, netlink.ask(TFTPK["TFTPK_CMD_SETTINGS_GET"])


# ---- what is seen from outside ----

STATS = {
    name.removeprefix("TFTPK_A_STATS_").lower(): number
    for name, number in TFTPK.items()
    if name.startswith("TFTPK_A_STATS_") and not name.endswith(("_PAD", "_MAX"))
}
sockets = {}


def counters(netns="server"):
    """The server's counters, by netlink: a process for each look would take longer
    than a transfer.
    """
    for _ in range(2):
        if netns not in sockets:
            sockets[netns] = Genl(netns)
        error, reply = sockets[netns].ask(TFTPK["TFTPK_CMD_STATS_GET"])
        if not error:
            return {name: struct.unpack("=Q", reply[n])[0] for name, n in STATS.items() if n in reply}
        # The module was loaded anew, and the family has another number.
        sockets.pop(netns).socket.close()
    raise AssertionError(f"counters: {os.strerror(error)}")


def transfers():
    return told("transfers")


def idle(patience=PATIENCE):
    """Wait until no transfer is left."""
    wait_for("all transfers to end", lambda: not counters()["transfers_active"], patience)


class Growth:
    """By how much counters have grown since this was made."""

    def __init__(self):
        self.before = counters()

    def __getitem__(self, name):
        return counters()[name] - self.before[name]

    def expect(self, transfers_active=None, **wanted):
        """Wait until they have grown by that much; more is a failure. Of
        transfers there have to be so many at last.
        """
        begun = time.monotonic()
        while True:
            now = counters()
            active = now["transfers_active"]
            got = {name: now[name] - self.before[name] for name in wanted}
            if got == wanted and transfers_active in (None, active):
                return
            if time.monotonic() > begun + PATIENCE or any(got[name] > wanted[name] for name in wanted):
                raise AssertionError(f"counters: wanted {wanted}, got {got}; {active} active")
            pause(begun)


def fence(server=SERVERS["IPv4"], netns=None):
    """Return when the server has dealt with all that was sent to it before."""
    with inside(netns), Client(server) as client:
        client.request("there is no such file")
        client.expect(Error, code=Code.NOT_FOUND)
        client.peer = None


def quiet(*clients):
    """Fail if anything comes, now that the server has dealt with everything."""
    fence()
    for client in clients:
        client.expect_silence(0)


def subscribed(netns="server"):
    """Does a monitor listen there? Its socket of generic netlink is in a group."""
    with inside(netns):
        lines = pathlib.Path("/proc/thread-self/net/netlink").read_text(encoding="ascii").splitlines()
    return any(words[1] == "16" and int(words[3], 16) for words in map(str.split, lines[1:]))


def occupy(port, kind=socket.AF_INET):
    """Another program has that port of the server until the test is over."""
    with inside("server"):
        other = socket.socket(kind, socket.SOCK_DGRAM)
    ktap.defer(other.close)
    if kind == socket.AF_INET6:
        other.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    other.bind(("", port))


def paused(server, name):
    """A transfer that is under way, and goes on when the test does."""
    client = ktap.during(Client(server))
    return Transfer(client, name, ("tsize", 0), ("timeout", 255)).step(2)


def objects():
    """How many are left in the module's slab caches. Those that are kept back,
    free, for a while go first.
    """
    for cache in pathlib.Path("/sys/kernel/slab").glob("tftpk_*"):
        (cache / "shrink").write_text("1", encoding="ascii")
    lines = pathlib.Path("/proc/slabinfo").read_text(encoding="ascii").splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("tftpk_"))
