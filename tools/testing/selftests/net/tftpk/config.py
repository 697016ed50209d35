#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""tftpkctl and what it configures: exports, listeners, namespaces, settings; what is
refused, in which words, and that nothing is left of it.
"""

import contextlib
import errno
import os
import pathlib
import re
import socket
import struct

from lib import (
    CLIENTS, MODULE, PATIENCE, SERVERS, SRV, Client, Code, Error, after, as_user, blank, command,
    content, ctl, defer, during, equal, exported, fails, fetch, inside, ip, make, matches, module,
    occupy, paused, refuses, request, run, shows, sysctl, test, told,
)
from lib.genl import NLM_F_ACK, TFTPK, Genl, attribute

FOUR, SIX = SERVERS["IPv4"], SERVERS["IPv6"]
FIRST = make("one/file", b"the first")
SECOND = make("two/file", b"the second")
make("two/only", b"of the second")
make("two words/file", b"a blank")
make("b\xfccher/file", b"an umlaut")
ONE, TWO, PRIVATE = SRV / "one", SRV / "two", SRV / "private"
PRIVATE.mkdir(mode=0o700)


def ports():
    """Of all UDP sockets in the server's namespace, the module's included."""
    with inside("server"):
        folder = pathlib.Path("/proc/thread-self/net")
        tables = "".join((folder / name).read_text(encoding="ascii") for name in ("udp", "udp6"))
    return sorted(int(port, 16) for port in re.findall(r"^ *\d+: [0-9A-F]+:([0-9A-F]{4})", tables, re.M))


def listeners():
    """Those of them that are not for transfers."""
    return [port for port in ports() if port < 32768]


def nothing_configured():
    shows("*nothing is exported*nothing listens*")
    equal("ports", [], ports())


@contextlib.contextmanager
def unchanged():
    """What is configured and what listens is the same afterwards."""
    before = ctl("show"), listeners(), len(ports())
    yield
    equal("state", before, (ctl("show"), listeners(), len(ports())))


def serves(data, server=FOUR, port=69, name="file"):
    with Client(server, port) as client:
        equal(f"content at {server}, port {port}", data, fetch(client, name))


def lacks(name):
    with Client(FOUR) as client:
        client.request(name)
        client.expect(Error, code=Code.NOT_FOUND)


def silent(server, port=69):
    """The port is closed; ICMP tells."""
    with socket.socket(socket.AF_INET6 if ":" in server else socket.AF_INET, socket.SOCK_DGRAM) as asker:
        asker.settimeout(PATIENCE)
        asker.connect((server, port))
        asker.send(request("file"))
        with contextlib.suppress(ConnectionRefusedError):
            raise AssertionError(f"answered: {asker.recv(600)}")


@contextlib.contextmanager
def served():
    """The module; ICMP that tells each time; after each test nothing is configured."""
    with module():
        sysctl("server", "ipv4/icmp_ratelimit", 0)
        sysctl("server", "ipv6/icmp/ratelimit", 0)
        after.extend((nothing_configured, blank))
        yield


def listen(*words):
    """For the rest of the test."""
    ctl("listen", *words)
    defer(ctl, "unlisten", *words)


# ---- exports ----


@test("the module needs no other, and listens to nobody by itself", ())
def _():
    equal("modules that it depends on", "\n", command("modinfo", "-F", "depends", MODULE or "tftpk"))
    nothing_configured()


@test("an export is served on port 69, IPv4 and IPv6", ())
def _():
    matches("export", f"serving {ONE} on *:69*\n", ctl("export", ONE))
    defer(ctl, "unexport", ONE)
    shows(f"*  65534:65534  -        {ONE}\n*", "*\n0.0.0.0:69 *export*", "*\n[[]::]:69 *export*")
    equal("listeners", [69, 69], listeners())
    serves(FIRST)
    serves(FIRST, SIX)


@test("unexport ends listeners", ())
def _():
    with exported(ONE):
        equal("listeners", [69, 69], listeners())
        serves(FIRST)
    nothing_configured()
    silent(FOUR)
    silent(SIX)
    refuses(f"unexport {ONE}: *not exported*", "unexport", ONE)


@test("two exports; one goes", ())
def _():
    during(exported(ONE))
    with exported(TWO):
        serves(FIRST)
        serves(b"of the second", name="only")
    serves(FIRST)
    equal("listeners", [69, 69], listeners())
    lacks("only")


@test("an export by a relative path or a link", ())
def _():
    with contextlib.chdir(SRV):
        ctl("export", "one")
        serves(FIRST)
        ctl("unexport", "./two/../one")
    (SRV / "link").symlink_to("one")
    for path, gone in ((f"{SRV}/../srv//one/.", ONE), (SRV / "link", SRV / "link")):
        ctl("export", path)
        shows(f"*  {ONE}\n*")
        ctl("unexport", gone)


@test("folders with blanks and umlauts", ())
def _():
    for name, data in (("two words", b"a blank"), ("b\xfccher", b"an umlaut")):
        with exported(SRV / name):
            serves(data)
            shows(f"*  {SRV / name}\n*")


@test("the export of a folder that was removed", ())
def _():
    (SRV / "removed").mkdir()
    with exported(SRV / "removed"):
        (SRV / "removed").rmdir()


@test("missing, no folder, twice, not to be entered: refused", ())
def _():
    for path, why in (
        (SRV / "nothing", "no such folder*"),
        (ONE / "file", "not a folder*"),
        (ONE / "file/x", "not a folder*"),
        ("/dev/null", "not a folder*"),
        (PRIVATE, "*may not enter*"),
    ):
        with unchanged():
            refuses(f"export {path}: {why}", "export", path)
    refuses("*no such user*", "export", ONE, "--uid", "nobody-at-all", status=2)
    nothing_configured()
    # And beside an export that stands.
    during(exported(ONE))
    for path, why in (
        (ONE, "*exported already*"),
        (TWO / "../one", "*exported already*"),
        (SRV / "nothing", "no such folder*"),
        (PRIVATE, "*may not enter*"),
    ):
        with unchanged():
            refuses(f"export *: {why}", "export", path)
    serves(FIRST)


@test("a private folder is exported to its owner", ())
def _():
    # Who may enter is served: the refusal was about that.
    during(exported(PRIVATE, "--uid", 0, "--gid", 0))
    shows(f"* 0:0 *{PRIVATE}\n*")


# ---- who may ----


@test("without CAP_NET_ADMIN: EPERM in words, nothing changes", ())
def _():
    during(exported(ONE))
    root = ("setpriv", "--bounding-set=-net_admin", "--inh-caps=-net_admin")
    for words in (("export", TWO), ("unexport", ONE), ("listen", FOUR), ("set", "gso", "off")):
        for who in (root, as_user(65534, ())):
            with unchanged():
                pattern = f"tftpkctl: {words[0]} *CAP_NET_ADMIN*root*"
                fails(1, pattern, *who, "tftpkctl", *words, netns="server")
    serves(FIRST)
    # The same with that capability and no other does it.
    command(*as_user(0, ["net_admin"]), "tftpkctl", "export", TWO, netns="server")
    ctl("unexport", TWO)


def borrowed(user, capabilities):
    """A socket in the server's namespace that such a one opened, used by root."""
    here, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with here, there:
        program = (
            "import socket; nl = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 16);"
            f"socket.send_fds(socket.socket(fileno={there.fileno()}), [b'x'], [nl.fileno()])"
        )
        opener = as_user(user, capabilities, "/usr/bin/python3", "-c", program)
        command(*opener, netns="server", pass_fds=[there.fileno()])
        return Genl(sock=socket.socket(fileno=socket.recv_fds(here, 10, 1)[1][0]))


@test("CAP_NET_ADMIN alone: exports as nobody or as oneself, nobody else's files", ())
def _():
    during(exported(ONE))

    def words(user, more, *owner):
        return *as_user(user, ("net_admin", *more)), "tftpkctl", "export", TWO, *owner

    with unchanged():
        for user, more, owner, wanted in (
            *((user, (), ("--uid", 33), "SETUID") for user in (0, 1000)),
            *((user, (), ("--gid", 33), "SETGID") for user in (0, 1000)),
            *((user, ("setuid",), ("--uid", 33, "--gid", 33), "SETGID") for user in (0, 1000)),
            (1000, (), ("--uid", 0), "SETUID"),
            (1000, (), ("--gid", 0), "SETGID"),
        ):
            fails(1, f"tftpkctl: export *CAP_{wanted}", *words(user, more, *owner), netns="server")
        # As himself, as nobody, and as others by the capabilities for that.
        for user, more, uid, gid in (
            (1000, (), 1000, 1000),
            (1000, (), 65534, 65534),
            (1000, ("setuid", "setgid"), 0, 33),
            (0, (), 0, 0),
        ):
            command(*words(user, more, "--uid", uid, "--gid", gid), netns="server")
            shows(f"* {uid}:{gid} *{TWO}\n*")
            ctl("unexport", TWO)
        # His own is that of both: who opened the socket, and who sends.
        with borrowed(1000, ["net_admin"]) as netlink:
            path = attribute(TFTPK["TFTPK_A_EXPORT_PATH"], os.fsencode(TWO) + b"\0")
            for name, answer in (("UID", errno.EPERM), ("GID", errno.EPERM), (None, 0)):
                zero = attribute(TFTPK[f"TFTPK_A_EXPORT_{name}"], struct.pack("=I", 0)) if name else b""
                got, _ = netlink.ask(TFTPK["TFTPK_CMD_EXPORT_ADD"], path + zero, NLM_F_ACK)
                equal(f"answer to a borrowed socket, {name}", answer, got)
            ctl("unexport", TWO)


@test("a container's root must not export", ())
def _():
    # Its root has every capability over a namespace of its own, and none that counts.
    for words in (("export", ONE), ("set", "gso", "off")):
        pattern = f"tftpkctl: {words[0]} *CAP_NET_ADMIN*"
        fails(1, pattern, "unshare", "--user", "--map-root-user", "--net", "tftpkctl", *words)
        command("unshare", "--net", "tftpkctl", *words)


@test("everybody may look", ())
def _():
    during(exported(ONE))
    for word in ("show", "stats", "transfers", "get"):
        said = command(*as_user(65534, ()), "tftpkctl", word, netns="server")
        equal(f"what {word} tells", ctl(word), said)


@test("wrong usage: status 2, nothing changes", ())
def _():
    with unchanged():
        for words in (
            (),
            ("exprot", ONE),
            ("export",),
            ("export", ONE, TWO),
            ("--frob", "show"),
            ("listen", "1.2.3"),
            ("listen", f"{FOUR}:0"),
            ("set", "gso", "maybe"),
            ("set", "gso", "off", "zerocopy", "maybe"),
            ("set", "max-blksize", "1"),
        ):
            refuses("*", *words, status=2)
    fails(1, "tftpkctl: *no such network namespace*", "tftpkctl", "-n", "nowhere", "show")


# ---- listeners ----


@test("listen replaces what an export made", ())
def _():
    during(exported(ONE))
    listen(f"{FOUR}:1069")
    shows(f"*\n{FOUR}:1069 *listen *")
    equal("listeners", [1069], listeners())
    silent(FOUR)
    serves(FIRST, port=1069)
    silent(SIX, 1069)
    listen(f"[{SIX}]:1070")
    serves(FIRST, SIX, 1070)
    serves(FIRST, port=1069)


@test("a listener from before the export stays the only one", ())
def _():
    ctl("listen", FOUR)
    during(exported(ONE))
    equal("listeners", [69], listeners())
    serves(FIRST)
    silent(SIX)
    ctl("unlisten", FOUR)
    equal("ports", [], ports())
    silent(FOUR)
    shows(f"*{ONE}*nothing listens*")


@test("listen on all addresses", ())
def _():
    during(exported(ONE))
    ctl("listen", "*:1069")
    serves(FIRST, port=1069)
    serves(FIRST, SIX, 1069)
    silent(FOUR)
    ctl("unlisten", "*:1069")
    equal("ports", [], ports())


@test("listen on one interface", ())
def _():
    during(exported(ONE))
    listen("*", "dev", "to-client")
    serves(FIRST)
    shows("*\n0.0.0.0:69 *to-client *listen*")
    listen("*:1069", "dev", "lo")
    with inside("server"):
        serves(FIRST, "127.0.0.1", 1069)
    silent(FOUR, 1069)
    refuses("*cannot be the name of an interface*", "listen", "*", "dev", "no/such", status=2)


@test("listen on an address before it is there", ())
def _():
    during(exported(ONE))
    listen("192.0.2.77")
    ip("server", "addr add 192.0.2.77/24 dev to-client")
    defer(ip, "server", "addr delete 192.0.2.77/24 dev to-client")
    serves(FIRST, "192.0.2.77")


@test("listen where another program is, or twice: refused", ())
def _():
    occupy(1069)
    during(exported(ONE))
    # Where this fails implicit listeners are there again, and there is no half of
    # a listener for both families.
    for where, pattern in ((f"{FOUR}:1069", f"{FOUR}:1069"), ("*:1069", "[*]:1069")):
        with unchanged():
            refuses(f"listen {pattern}: *listens there*", "listen", where)
    serves(FIRST)
    serves(FIRST, SIX)
    # Beside a listener that was asked for.
    listen(f"{FOUR}:1070")
    with unchanged():
        refuses(f"listen {FOUR}:1069: *listens there*", "listen", f"{FOUR}:1069")
        refuses(f"listen {FOUR}:1070: already*", "listen", f"{FOUR}:1070")
        refuses(f"unlisten {FOUR}:1071: not listening*", "unlisten", f"{FOUR}:1071")
    serves(FIRST, port=1070)


@test("export where another program has port 69 of {0}", (), ["IPv4", "IPv6"])
def _(name):
    occupy(69, {"IPv4": socket.AF_INET, "IPv6": socket.AF_INET6}[name])
    with unchanged():
        refuses(f"export {ONE}: cannot listen on UDP port 69*", "export", ONE)
    shows("*nothing is exported*nothing listens*")
    equal("ports", [69], ports())
    # It works beside that one.
    listen(f"{FOUR}:1069")
    during(exported(ONE))
    serves(FIRST, port=1069)


# ---- namespaces, families ----


@test("namespaces do not see each other", ())
def _():
    during(exported(ONE))
    shows("*nothing is exported*nothing listens*", netns="client")
    silent("127.0.0.1")
    # Each serves its own, on the same port.
    ctl("export", TWO, netns="client")
    defer(ctl, "unexport", TWO, netns="client")
    serves(SECOND, "127.0.0.1")
    serves(FIRST)
    lacks("only")
    ctl("set", "give-up", "7", netns="client")
    equal("give-up here", "30\n", ctl("get", "give-up"))
    equal("give-up there", "7\n", ctl("get", "give-up", netns="client"))
    matches("stats there", "requests *1\nrequests-*", ctl("stats", netns="client"))


@test("a namespace by name, by path, and from inside", ())
def _():
    during(exported(ONE))
    shows(f"*{ONE}*", netns="/run/netns/server")
    matches("by name", f"*{ONE}*", command("tftpkctl", "show", "--netns", "server"))
    matches("inside", f"*{ONE}*", command("tftpkctl", "show", netns="server"))
    matches("elsewhere", "*nothing is exported*", command("tftpkctl", "show"))


def switch_v6_off(value):
    for name in ("all", "default", "to-client"):
        sysctl("server", f"ipv6/conf/{name}/disable_ipv6", value)


@test("IPv6 switched off", ())
def _():
    switch_v6_off(1)
    defer(ip, "server", f"addr add {SIX}/64 dev to-client nodad")
    defer(switch_v6_off, 0)
    addresses = command("ip", "-n", "server", "-6", "-o", "addr", "show", "dev", "to-client")
    equal("IPv6 addresses", "", addresses)
    with exported(ONE):
        serves(FIRST)
    listen("*:1069")
    during(exported(ONE))
    serves(FIRST, port=1069)


@test("{0} only", (), [("IPv4", "0.0.0.0", FOUR, SIX), ("IPv6", "::", SIX, FOUR)])
def _(_, everywhere, there, nowhere):
    listen(everywhere)
    during(exported(ONE))
    serves(FIRST, there)
    silent(nowhere)


# ---- settings, JSON ----

# As the manual has them; and what they are changed to.
DEFAULTS = {
    "zerocopy": "on",
    "gso": "on",
    "detect-changes": "on",
    "max-transfers": "10000",
    "max-blksize": "65464",
    "max-windowsize": "64",
    "give-up": "30",
}


@test("settings: defaults, changes, all or none", ())
def _():
    for key, value in DEFAULTS.items():
        equal(key, f"{value}\n", ctl("get", key))
    defer(ctl, "set", "max-windowsize", "64", "give-up", "30", "gso", "on")
    ctl("set", "max-windowsize", "8", "give-up", "1m", "gso", "off")
    for key, value in (("max-windowsize", "8"), ("give-up", "60"), ("gso", "off")):
        equal(key, f"{value}\n", ctl("get", key))
    with unchanged():
        refuses("*", "set", "max-windowsize", "9", "give-up", "0", status=2)


def names(text, pattern):
    """What the manual lists, as JSON has it."""
    return sorted(name.replace("-", "_") for name in re.findall(pattern, text, re.M))


@test("JSON", ())
def _():
    make("one/large", content(1_000_000))
    where = {"address": FOUR, "port": 69, "ifindex": 0, "interface": None}
    how = {"single_port": False, "broadcast": False, "waiting": False, "anycast": None}
    implicit = [where | how | {"address": address, "implicit": True} for address in ("0.0.0.0", "::")]
    export = {"path": str(ONE), "prefix": "", "uid": 65534, "gid": 65534, "no_symlinks": False}
    export |= {"max_blksize": None, "min_timeout": None, "rollover": None, "no_tsize": False}
    export |= {"send_ahead": None, "dscp": None, "max_rate": None}
    export |= {"for": [], "not_for": [], "root_by": None, "only": False, "drop_first_folder": False}
    export |= {"default": None, "refusal": None}

    done = told("export", ONE)
    export["id"] = done["export"]["id"]
    done["listeners"].sort(key=lambda listener: listener["address"])
    equal("export", {"export": export, "listeners": implicit}, done)
    equal("listen", {"listen": [where | how]}, told("listen", FOUR))

    transfer = paused(FOUR, "large")
    there = told("transfers")
    stats = told("stats")
    equal("histograms", ["duration", "first_block", "rate", "round_trip"], sorted(stats.pop("histograms")))
    measured = {name: there[0][name] for name in ("id", "server_port", "rtt", "age")}
    assert all(isinstance(value, int) and value > 0 for value in measured.values()), measured
    wanted = measured | {
        "state": "sending",
        "direction": "read",
        "name": None,
        "client_address": CLIENTS["IPv4"],
        "client_port": transfer.client.port,
        "server_address": FOUR,
        "ifindex": 0,
        "interface": None,
        "export_id": export["id"],
        "file": f"{ONE}/large",
        "size": 1_000_000,
        "acknowledged": 1024,
        "block_size": 512,
        "window_size": 1,
        "timeout": 255,
        "blocks_retransmitted": 0,
        "rate": 1024 * 1000 // measured["age"],
    }
    equal("transfers", [wanted], there)
    assert all(isinstance(value, int) for value in stats.values()), stats
    assert stats["transfers_started"] > 0 and stats["blocks_sent"] > 0 and stats["bytes_sent"] > 0, stats
    equal("active, copied", (1, 0), (stats["transfers_active"], stats["bytes_copied"]))
    settings = told("get")
    values = {"on": True, "off": False}
    for key, value in DEFAULTS.items():
        equal(key, values[value] if value in values else int(value), settings[key.replace("-", "_")])
    explicit = [where | how | {"implicit": False}]
    show = {"exports": [export], "listeners": explicit, "trusted": [], "settings": settings}
    equal("show", show, told("show"))
    equal("get gso", {"gso": True}, told("get", "gso"))
    equal("set", {"set": {"gso": True, "give_up": 30}}, told("set", "gso", "on", "give-up", "30"))
    equal("unlisten", {"unlisten": [where]}, told("unlisten", FOUR))
    equal("unexport", {"unexport": {"path": str(ONE), "prefix": None}}, told("unexport", ONE))
    equal("no transfers", [], told("transfers"))
    # Errors are no JSON.
    refuses("*", "-j", "unexport", ONE)
    # The keys are those of the manual.
    equal("counters", names(ctl("help", "stats"), r"^  ([a-z][a-z-]*)"), sorted(stats))
    equal("settings", names(ctl("help", "--list"), r"^setting (\S+)"), sorted(settings))


run(served())
