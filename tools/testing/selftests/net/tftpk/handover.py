#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""Transfers that another server goes on with. The server's address moves from its
namespace to another one:

	server [to-client] ---- [to-server] client [to-second] ---- [to-client] second
"""

import contextlib
import errno
import json
import os
import socket
import struct
import time

from lib import (
    CLIENTS, SERVERS, SRV, VIRTUAL, Client, Data, Oack, Transfer, content, counters, ctl, defer, during, equal, execute,
    inside, ip, make, matches, namespaces, run, same, served, test, told, wait_for,
)
from lib.genl import NLM_F_ACK, TFTPK, Genl, attribute, message

SIZE = 60_000
FILE = make("folder/file", content(SIZE))
WHOLE = make("whole", content(40 * 512, 2))
KEY = bytes(range(16))
ADDRESSES = [f"addr add {SERVERS[name]}/{bits} dev to-client{more}" for name, bits, more in
             (("IPv4", 24, ""), ("IPv6", 64, " nodad"))]


# ---- the servers ----


@contextlib.contextmanager
def second():
    """Another server, which has no address yet, and the same key and ports."""
    with namespaces("second"):
        ip("client", "link add to-second type veth peer name to-client netns second")
        ip("client", f"addr add {CLIENTS['IPv6']}/128 dev to-second nodad", "link set to-second up")
        ip("second", "link set to-client up")
        for netns in ("server", "second"):
            ctl("set", "port-range", "20000-20015", "source-burst", "0", netns=netns)
            key(netns, KEY)
        ctl("export", SRV, netns="second")
        yield


def move(there="second", before="server"):
    """The address moves: what is sent to it goes another way."""
    ip(before, "addr flush dev to-client scope global")
    ip(there, *ADDRESSES)
    for name, bits in (("IPv4", 32), ("IPv6", 128)):
        device = "to-second" if there == "second" else "to-server"
        ip("client", f"route replace {SERVERS[name]}/{bits} dev {device} src {CLIENTS[name]}")


def moved():
    """Until the test is over; no transfer is left then."""
    move()
    defer(move, "server", "second")
    defer(over, "second")
    defer(over)


# ---- commands ----


def key(netns, secret):
    with Genl(netns) as netlink:
        words = attribute(TFTPK["TFTPK_A_KEY_KEY"], secret) if secret else b""
        equal("errno of a key", 0, ask(netlink, "KEY_SET", words))


def ask(netlink, command, payload=b""):
    return netlink.exchange(message(netlink.family, TFTPK[f"TFTPK_CMD_{command}"], payload, NLM_F_ACK))[0]


def save(netns="server"):
    """What is told of the transfers, by the names of the attributes."""
    with Genl(netns) as netlink:
        error, found = netlink.dump(TFTPK["TFTPK_CMD_TRANSFER_SAVE"])
    equal("errno of saving", 0, error)
    return [{NAMES[n]: value for n, value in entry.items() if n in NAMES} for entry in found]


NAMES = {
    number: name.removeprefix("TFTPK_A_SAVED_").lower()
    for name, number in TFTPK.items()
    if name.startswith("TFTPK_A_SAVED_") and not name.endswith(("_PAD", "_MAX"))
}
NUMBERS = {name: number for number, name in NAMES.items()}


def adopt(saved, netns="second", **changed):
    """Returns the errno. What is changed to None is left out."""
    entry = {name: value for name, value in (saved | changed).items() if value is not None}
    with Genl(netns) as netlink:
        words = b"".join(attribute(NUMBERS[name], value) for name, value in entry.items())
        return ask(netlink, "TRANSFER_ADOPT", words)


def adopts(saved, **changed):
    equal("errno of adopting", 0, adopt(saved, **changed))


def u32(value):
    return struct.pack("=I", value)


def u64(value):
    return struct.pack("=Q", value)


def port(value):
    return struct.pack("!H", value)


def number(saved, name):
    return int.from_bytes(saved[name], "little" if len(saved[name]) > 2 else "big")


# ---- going on ----


def started(server, name="folder/file", *options, blocks=4, **more):
    """A transfer that is under way."""
    return Transfer(during(Client(server, **more)), name, *options, lossy=True).step(blocks)


def lose(transfer):
    """All that is on its way to the client: what comes again is new to it."""
    client = transfer.client
    while client.poll(0) is not None:
        pass
    client.early.clear()
    client.next[client.peer] = transfer.wire(transfer.blocks + 1)


def one(netns="server"):
    found = save(netns)
    equal("transfers that can be saved", 1, len(found))
    return found[0]


def over(netns="server"):
    """The server before ends what it had; nobody is there to be told."""
    for transfer in told("transfers", netns=netns):
        ctl("kill", str(transfer["id"]), netns=netns)
    gone_on(netns)


def gone_on(netns="second"):
    """Nothing is left there."""
    wait_for("its end", lambda: not counters(netns)["transfers_active"])


KINDS = [
    ("lock step", (), ""),
    ("lock step, options", (("blksize", 1000), ("tsize", 0)), ""),
    ("window", (("blksize", 1000), ("windowsize", 8)), ""),
    ("window, single port", (("blksize", 1000), ("windowsize", 8)), "--single-port"),
]


def listen(words):
    if not words:
        return
    for netns in ("server", "second"):
        for address in SERVERS.values():
            ctl("listen", address, words, netns=netns)
        defer(restore, netns)


def restore(netns):
    for address in SERVERS.values():
        ctl("unlisten", address, netns=netns)
    ctl("unexport", SRV, netns=netns)
    ctl("export", SRV, netns=netns)


@test("handed over: {0}", cases=KINDS)
def _(server, _, options, words):
    listen(words)
    transfer = started(server, "folder/file", *options, blocks=8)
    saved = one()
    moved()
    adopts(saved)
    same(FILE, transfer.finish())
    gone_on()


@test("handed over, and what was in flight is lost: {0}", cases=KINDS)
def _(server, _, options, words):
    listen(words)
    transfer = started(server, "folder/file", *options, blocks=8)
    saved = one()
    moved()
    lose(transfer)
    before = counters("second")
    adopts(saved)
    same(FILE, transfer.finish())
    gone_on()
    after = counters("second")
    equal("transfers adopted", 1, after["transfers_adopted"] - before["transfers_adopted"])
    equal("transfers completed", 1, after["transfers_completed"] - before["transfers_completed"])
    equal("timeouts", 0, after["timeouts"] - before["timeouts"])


# ---- what else may be under way ----


@test("handed over before the OACK is acknowledged")
def _(server):
    client = during(Client(server))
    oack = client.open("folder/file", ("blksize", 1000), ("timeout", 5), ("tsize", 0))
    moved()
    adopts(one())
    equal("OACK", oack, client.expect(Oack))
    client.ack(0)
    same(FILE[:1000], client.block(1))
    client.ack(1)
    same(FILE[1000:2000], client.block(2))


@test("handed over before the first block is acknowledged")
def _(server):
    client = during(Client(server))
    client.request("folder/file")
    same(FILE[:512], client.block(1))
    moved()
    adopts(one())
    same(FILE[:512], client.block(1))
    client.ack(1)
    same(FILE[512:1024], client.block(2))


@test("handed over with only the empty last block to come")
def _(server):
    transfer = started(server, "whole", blocks=39)
    equal("last block acknowledged", 40, number(one(), "block"))
    saved = one()
    moved()
    lose(transfer)
    adopts(saved)
    same(WHOLE, transfer.finish())


@test("handed over beyond block 65535, numbers go on with {0}", cases=(0, 1))
def _(server, rollover):
    make("long", FILE * 9)
    client = during(Client(server))
    words = (("blksize", 8), ("windowsize", 64), ("rollover", rollover))
    transfer = Transfer(client, "long", *words, rollover=rollover, lossy=True)
    transfer.hurry(66_560)
    equal("last block acknowledged", 66_560, number(one(), "block"))
    saved = one()
    moved()
    lose(transfer)
    adopts(saved)
    same((FILE * 9)[: 67_200 * 8], b"".join(transfer.step(640).payloads))


@test("a transfer that made way for another one is handed over as well")
def _(server):
    transfer = started(server)
    client = transfer.client
    client.send(b"\0\1whole\0octet\0", client.listener)
    wait_for("the other one", lambda: len(save()) == 2)
    entries = save()
    moved()
    for entry in entries:
        adopts(entry)
    equal("made way", [True, False], ["former" in entry for entry in save("second")])


@test("a text and a file that was removed are not saved", ())
def _():
    make("gone", FILE)
    text = during(Client(SERVERS["IPv4"]))
    text.request("folder/file", mode="netascii")
    text.expect(Data, block=1)
    started(SERVERS["IPv4"], "gone")
    equal("transfers that can be saved", 1, len(save()))
    (SRV / "gone").unlink()
    equal("transfers that can be saved", 0, len(save()))


# ---- who is validated ----

WINDOW = (("blksize", 1000), ("windowsize", 8))


def sent(client):
    """Blocks that come until the server waits."""
    blocks = []
    while (packet := client.poll(0.01 if VIRTUAL else 0.3)) is not None:
        blocks.append(int.from_bytes(packet[2:4], "big"))
    return blocks


@test("{0}: {1} blocks at once", cases=[
    ("sealed", 8, {}),
    ("no seal", 1, {"seal": None}),
    ("a seal that is cut", 1, {"seal": bytes(8)}),
    ("sealed, but another request", 1, {"request_hash": u32(1)}),
    ("sealed, but further on", 1, {"block": u64(17)}),
    ("sealed, but said to be validated", 1, {"validated": None}),
    ("sealed another time", 1, {"time": u64(1)}),
    ("sealed, but another round trip", 1, {"rtt": u32(5)}),
])
def _(server, _, blocks, changed):
    transfer = started(server, "folder/file", *WINDOW, blocks=16)
    saved = one()
    moved()
    lose(transfer)
    adopts(saved, **changed)
    first = number(saved | {k: v for k, v in changed.items() if k == "block"}, "block") + 1
    equal("blocks", list(range(first, first + blocks)), sent(transfer.client)[:8])


@test("sealed by {0}: one block", cases=[("another key", bytes(16)), ("a key that this server lacks", None)])
def _(server, _, secret):
    key("second", secret)
    defer(key, "second", KEY)
    transfer = started(server, "folder/file", *WINDOW, blocks=16)
    saved = one()
    moved()
    lose(transfer)
    adopts(saved)
    equal("blocks", [17], sent(transfer.client)[:8])
    transfer.client.ack(17)
    equal("blocks", list(range(18, 26)), sent(transfer.client)[:8])


@test("a seal is good for a minute")
def _(server):
    transfer = started(server, "folder/file", *WINDOW, blocks=16)
    saved = one()
    moved()
    lose(transfer)
    now = time.clock_gettime(time.CLOCK_REALTIME)
    time.clock_settime(time.CLOCK_REALTIME, now + 90)
    defer(lambda: time.clock_settime(time.CLOCK_REALTIME, time.clock_gettime(time.CLOCK_REALTIME) - 90))
    adopts(saved)
    equal("blocks", [17], sent(transfer.client)[:8])


@test("who never answers gets three small packets, whatever was said", ("IPv4",))
def _(server):
    transfer = started(server)
    saved = one()
    moved()
    lose(transfer)
    before = counters("second")
    adopts(saved, seal=None)
    over()
    wait_for("its end", lambda: not counters("second")["transfers_active"], 40)
    grown = counters("second")["blocks_sent"] - before["blocks_sent"]
    equal("packets", (True, grown), (1 <= grown <= 4, grown))


@test("ACKs that are forged right after change nothing")
def _(server):
    transfer = started(server, "folder/file", *WINDOW, blocks=16)
    client = transfer.client
    saved = one()
    moved()
    lose(transfer)
    adopts(saved, seal=None)
    equal("blocks", [17], sent(client)[:8])
    for block in (0, 15, 16, 100, 40_000, 65_535):
        client.ack(block)
    equal("blocks", set(), set(sent(client)) - {17})
    client.ack(17)
    transfer.blocks = transfer.acked = 17
    transfer.payloads.append(FILE[16_000:17_000])
    same(FILE, transfer.finish())


# ---- what is refused ----

REFUSED = [
    ("no name", errno.EINVAL, {"name": None}),
    ("a path outside", errno.ENOENT, {"name": b"../../etc/passwd\0"}),
    ("an absolute path outside", errno.ENOENT, {"name": b"/etc/passwd\0"}),
    ("another file", errno.ESTALE, {"name": b"whole\0"}),
    ("a folder", errno.EISDIR, {"name": b"folder\0"}),
    ("another size", errno.ESTALE, {"size": u64(SIZE + 1)}),
    ("another time", errno.ESTALE, {"modified": u64(1)}),
    ("another inode", errno.ESTALE, {"inode": u64(1)}),
    ("another generation", errno.ESTALE, {"generation": u32(77)}),
    ("a port that is not ours", errno.EADDRNOTAVAIL, {"server_port": port(19_999)}),
    ("the port of requests as identifier", errno.EADDRNOTAVAIL, {"server_port": port(69)}),
    ("a listener that is not there", errno.EADDRNOTAVAIL, {"listener_port": port(70)}),
    ("a listener of another interface", errno.EADDRNOTAVAIL, {"interface": b"eth0\0"}),
    ("no client port", errno.EINVAL, {"client_port": port(0)}),
    ("a client with an interface", errno.EINVAL, {"scope": b"to-client\0"}),
    ("beyond the end", errno.EINVAL, {"block": u64(SIZE // 512 + 1)}),
    ("far beyond the end", errno.EINVAL, {"block": u64((1 << 64) - 1)}),
    ("in flight beyond the end", errno.EINVAL, {"block": u64(SIZE // 512), "in_flight": u32(2)}),
    ("too many in flight", errno.EINVAL, {"in_flight": u32(65)}),
    ("a state without blocks", errno.EINVAL, {"state": u32(0)}),
    ("an upload", errno.EINVAL, {"state": u32(3)}),
    ("a state beyond", errno.ERANGE, {"state": u32(99)}),
    ("negotiating with blocks", errno.EINVAL, {"state": u32(1)}),
    ("no block size", errno.EINVAL, {"block_size": u32(0)}),
    ("a block size that was not asked for", errno.EINVAL, {"block_size": u32(1024)}),
    ("a block that is too large", errno.EINVAL, {"block_size": u32(65_465), "options": b"\0", "block": u64(0)}),
    ("a block above the MTU", errno.ERANGE, {"block_size": u32(4_096), "options": b"\0"}),
    ("no window", errno.EINVAL, {"window_size": u32(0)}),
    ("a window that was not asked for", errno.EINVAL, {"window_size": u32(2)}),
    ("a window above the setting", errno.ERANGE, {"window_size": u32(65), "options": b"\3"}),
    ("the largest window", errno.EINVAL, {"window_size": u32((1 << 32) - 1), "options": b"\3"}),
    ("an option twice", errno.EINVAL, {"options": b"\2\2"}),
    ("an option that is none", errno.EINVAL, {"options": b"\7"}),
    ("too many options", errno.EINVAL, {"options": bytes(7)}),
    ("a timeout that was not asked for", errno.EINVAL, {"timeout": u32(1_000_000)}),
    ("a timeout of nothing", errno.EINVAL, {"options": b"\1"}),
    ("a timeout that is too long", errno.EINVAL, {"options": b"\1", "timeout": u32(1 << 31)}),
    ("numbers that go on otherwise", errno.ERANGE, {"rollover": u32(1)}),
]
OTHERS = {
    "IPv4": {
        "another family": "2001:db8::2", "nobody": "0.0.0.0", "broadcast": "255.255.255.255", "multicast": "224.0.0.1",
        "the link's broadcast": "192.0.2.255", "nowhere": "203.0.113.9",
    },
    "IPv6": {
        "another family": "192.0.2.2", "nobody": "::", "multicast": "ff02::1", "nowhere": "2001:db8:77::1",
        "IPv4": "::ffff:192.0.2.2",
    },
}


def binary(address):
    return socket.inet_pton(socket.AF_INET6 if ":" in address else socket.AF_INET, address)


@test("what is refused, and then adopted as it is")
def _(server):
    transfer = started(server)
    saved = one()
    moved()
    before = counters("second")
    for what, error, changed in REFUSED:
        equal(f"errno of {what}", error, adopt(saved, **changed))
    for what, address in OTHERS["IPv6" if ":" in server else "IPv4"].items():
        equal(f"{what} is no client", True, adopt(saved, client_address=binary(address)) in (
            errno.EINVAL, errno.ENETUNREACH))
        equal(f"{what} is no server", True, adopt(saved, server_address=binary(address)) in (
            errno.EINVAL, errno.ENETUNREACH))
    equal("counters", before, counters("second"))
    equal("transfers", [], told("transfers", netns="second"))
    adopts(saved)
    same(FILE, transfer.finish())


@test("adopted twice: while it runs, and after its end")
def _(server):
    transfer = started(server)
    saved = one()
    moved()
    adopts(saved)
    equal("errno", errno.EEXIST, adopt(saved))
    equal("errno of another port", errno.EEXIST, adopt(saved, server_port=port(20_000 + (
        number(saved, "server_port") == 20_000))))
    same(FILE, transfer.finish())
    gone_on()
    equal("errno", errno.EALREADY, adopt(saved))


@test("a file that was {0} meanwhile", ("IPv4",), cases=["written", "replaced", "removed"])
def _(server, how):
    path = SRV / "victim"
    make("victim", FILE)
    os.utime(path, (1, 1))
    started(server, "victim")
    saved = one()
    moved()
    if how == "written":
        path.write_bytes(FILE)
    elif how == "replaced":
        make("new", FILE)
        os.utime(SRV / "new", (1, 1))
        os.rename(SRV / "new", path)
    else:
        path.unlink()
    equal("errno", errno.ENOENT if how == "removed" else errno.ESTALE, adopt(saved))
    # On another host nobody knows of inodes.
    if how == "replaced":
        adopts(saved, device=None, inode=None, generation=None)


@test("limits hold: {0}", ("IPv4",), cases=[
    ("max-transfers", errno.EBUSY, ("set", "max-transfers", "1"), ("set", "max-transfers", "10000")),
    ("max-per-client", errno.EBUSY, ("set", "max-per-client", "1"), ("set", "max-per-client", "0")),
    ("draining", errno.EBUSY, ("drain",), ("undrain",)),
    ("an export for others", errno.ENOENT, ("sync", "-"), ("sync", "-")),
])
def _(server, what, error, words, undo):
    started(server)
    started(server, "whole")
    lines = f"set port-range 20000-20015\nset source-burst 0\nexport {SRV}"
    entries = save()
    moved()
    adopts(entries[0])
    ctl(*words, netns="second", stdin=f"{lines} --not-for {CLIENTS['IPv4']}\n")
    equal(f"errno, {what}", error, adopt(entries[1]))
    ctl(*undo, netns="second", stdin=f"{lines}\n")
    adopts(entries[1])


@test("the key and what is saved are for root", ())
def _():
    for command in ("TRANSFER_SAVE", "TRANSFER_ADOPT", "KEY_SET"):
        done = os.fork()
        if not done:
            with inside("server"), Genl() as netlink:
                os.setresuid(65534, 65534, 65534)
                flags = 0x300 if command == "TRANSFER_SAVE" else 0
                packet = message(netlink.family, TFTPK[f"TFTPK_CMD_{command}"], b"", NLM_F_ACK | flags)
                os._exit(netlink.exchange(packet)[0])
        equal(f"errno of {command}", errno.EPERM, os.waitstatus_to_exitcode(os.waitpid(done, 0)[1]))


# ---- the end ----


@test("adopted while {0} comes and goes", ("IPv4",), cases=[
    ("its export", (("unexport", SRV), ("export", SRV))),
    ("its listener", (("listen", "127.0.0.1"), ("unlisten", "127.0.0.1"), ("unexport", SRV), ("export", SRV))),
])
def _(server, _, changes):
    started(server)
    saved = one()
    moved()
    answers = set()
    child = os.fork()
    if not child:
        for _ in range(20):
            for words in changes:
                ctl(*words, netns="second")
        os._exit(0)
    while not os.waitpid(child, os.WNOHANG)[0]:
        answers.add(adopt(saved))
    equal("errnos", set(), answers - {0, errno.ENOENT, errno.EADDRNOTAVAIL, errno.EALREADY, errno.EEXIST, errno.EBUSY})


@test("its namespace goes right after", ("IPv4",))
def _(server):
    transfer = started(server)
    saved = one()
    moved()
    with namespaces("third"):
        ctl("set", "port-range", "20000-20015", netns="third")
        ctl("export", SRV, netns="third")
        ip("third", "addr add 192.0.2.1/32 dev lo", "route add 192.0.2.0/24 dev lo")
        equal("errno", 0, adopt(saved, netns="third"))
    adopts(saved)
    same(FILE, transfer.finish())


# ---- the tool ----


@test("tftpkctl saves, and adopts what it saved")
def _(server):
    make('a "b"/\\ c\n', FILE)
    transfer = started(server, 'a "b"/\\ c\n', *WINDOW, blocks=16)
    other = started(server, "whole", blocks=2)
    lines = ctl("transfers", "--save")
    equal("lines", 2, lines.count("\n"))
    moved()
    lose(transfer)
    lose(other)
    equal("said", "went on with 2 of 2 transfers\n", ctl("adopt", netns="second", stdin=lines))
    equal("blocks", list(range(17, 25)), sent(transfer.client)[:8])
    same(WHOLE, other.finish())
    done = execute("tftpkctl", "-n", "second", "-j", "adopt", "-", stdin=lines)
    equal("adopted again", (1, {"adopt": {"adopted": 0, "refused": 2}}), (done.returncode, json.loads(done.stdout)))
    matches("messages", "tftpkctl: *:* *the client has a transfer by these ports\n"
            "tftpkctl: *:* whole: the transfer has ended here a moment ago\n", done.stderr)


@test("tftpkctl has no use for the inodes of another boot", ("IPv4",))
def _(server):
    path = SRV / "victim"
    make("victim", FILE)
    os.utime(path, (1, 1))
    started(server, "victim")
    line = json.loads(ctl("transfers", "--save"))
    moved()
    make("new", FILE)
    os.utime(SRV / "new", (1, 1))
    os.rename(SRV / "new", path)
    equal("status", 1, execute("tftpkctl", "-n", "second", "adopt", stdin=json.dumps(line)).returncode)
    line["boot_id"] = "another"
    ctl("adopt", netns="second", stdin=json.dumps(line))


@test("tftpkctl tells what cannot be saved", ())
def _():
    text = during(Client(SERVERS["IPv4"]))
    text.request("folder/file", mode="netascii")
    text.expect(Data, block=1)
    done = execute("tftpkctl", "-n", "server", "transfers", "--save")
    equal("saved", (0, ""), (done.returncode, done.stdout))
    matches("message", "tftpkctl: warning: 1 of 1 transfers cannot be saved: *\n", done.stderr)


@test("tftpkctl sets the key", ("IPv4",))
def _(server):
    equal("said", "the key is forgotten\n", ctl("key", "none", netns="second"))
    defer(key, "second", KEY)
    transfer = started(server, "folder/file", *WINDOW, blocks=16)
    lines = ctl("transfers", "--save")
    equal("said", "the key is set\n", ctl("key", "-", netns="second", stdin=f"{KEY.hex()}\n"))
    moved()
    lose(transfer)
    ctl("adopt", netns="second", stdin=lines)
    equal("blocks", list(range(17, 25)), sent(transfer.client)[:8])


run(served(), second())
