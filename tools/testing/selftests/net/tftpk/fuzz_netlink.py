#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""Netlink messages that no tool would send: every command and attribute, cut, bent and
of the wrong type, from the privileged, the unprivileged and the root of foreign user
namespaces. Only the first may change anything. In the server's network namespace.
"""

import ast
import collections
import contextlib
import ctypes
import errno
import os
import pathlib
import socket
import struct

from lib import (
    CLONE_NEWNET, SRV, WORK, Client, content, ctl, equal, exported, fetch, inside, libc, load, make,
    module, note, run, same, state, test, unload, wants_debug_kernel,
)
from lib.fuzz import SECONDS, Fuzz, seed_told, until
from lib.genl import NLM_F_ACK, NLM_F_DUMP, Genl, attribute, attributes, message

wants_debug_kernel()
FOLDER = WORK / "folder"
for place in (FOLDER, FOLDER / "a", FOLDER / "b"):
    place.mkdir(mode=0o755)
FILE = make("file", content(20_000))
NOBODY = 65534
CLONE_NEWUSER = 0x10000000
PR_SET_DUMPABLE = 4
SOL_NETLINK = 270
NETLINK_ADD_MEMBERSHIP = 1
GENL_ADMIN_PERM, GENL_CMD_CAP_DO = 1, 2
CTRL_ATTR_MAXATTR, CTRL_ATTR_OPS, CTRL_ATTR_MCAST_GROUPS = 5, 6, 7


def u32(packed):
    return struct.unpack("=I", packed)[0]


class Family(Genl):
    """Commands with their flags, the largest attribute, and the group of events, as the
    controller describes them.
    """

    def __init__(self):
        super().__init__()
        ops = [dict(attributes(op)) for _, op in attributes(self.described[CTRL_ATTR_OPS])]
        self.commands = {u32(op[1]): u32(op[2]) for op in ops}
        self.largest = u32(self.described[CTRL_ATTR_MAXATTR])
        _, group = next(attributes(self.described[CTRL_ATTR_MCAST_GROUPS]))
        self.group = u32(dict(attributes(group))[2])


class Netlink(Fuzz):
    """What chance makes of messages."""

    def path(self):
        return self.choice((
            f"{FOLDER}", f"{FOLDER}/a", f"{FOLDER}/b", f"{FOLDER}/a/..", f"{FOLDER}/none", f"{SRV}/file", "/", "/proc",
            "/proc/self/fd", "/sys", "/dev/null", "", ".", "..", "a" * 255, "/" + "a/" * 2040, "/x" * 3000,
        ))

    def payload(self):
        kind = self.randrange(12)
        if kind < 3:
            return self.path().encode() + (b"" if self.one_in(5) else b"\0")
        if kind == 3:
            return self.randbytes(self.choice((0, 1, 2, 3, 5, 7, 8, 12, 17, 100, 5000)))
        if kind == 4:
            return socket.inet_aton(self.choice(("0.0.0.0", "192.0.2.1", "127.0.0.1", "255.255.255.255", "224.0.0.1")))
        if kind == 5:
            return socket.inet_pton(socket.AF_INET6, self.choice(("::", "2001:db8::1", "::1", "fe80::1", "ff02::1",
                                                                  "::ffff:192.0.2.1")))
        if kind == 6:
            return struct.pack("!H", self.choice((0, 1, 69, 70, 6969, 65535, self.randrange(65536))))
        if kind == 7:
            return struct.pack("=B", self.choice((0, 1, 2, 32, 64, 96, 128, 129, 255)))
        if kind == 8:
            return b""
        if kind == 9:
            return struct.pack("=Q", self.randrange(1 << self.randrange(1, 65)))
        return struct.pack("=I", self.choice((0, 1, 2, 3, 16, 64, 512, 1024, 65535, 1 << 31, (1 << 32) - 1,
                                              self.randrange(1 << 32))))

    def attributes(self, largest):
        packed = b""
        for _ in range(self.choice((0, 1, 1, 2, 2, 3, 5, 20))):
            kind = self.randrange(largest + 3) if not self.one_in(30) else self.randrange(65536)
            if self.one_in(20):
                kind |= self.choice((0x8000, 0x4000, 0xC000))
            payload = self.payload()
            if self.one_in(30):
                payload = self.attributes(largest)
            length = self.choice((0, 3, 4, 5, len(payload), 65535)) if self.one_in(30) else None
            packed += attribute(kind, payload, length)
        return packed[: self.randrange(len(packed) + 1)] if self.one_in(20) else packed

    def message(self, family):
        command = self.choice(sorted(family.commands)) if not self.one_in(20) else self.randrange(256)
        flags = self.choice((0, 0, NLM_F_DUMP, 0x100, 0x200, self.randrange(65536) if self.one_in(8) else 0))
        content = self.attributes(family.largest)
        packet = message(family.family, command, content, flags | NLM_F_ACK, self.choice((0, 1, 1, 1, 2)))
        if self.one_in(40):
            packet = packet[: self.randrange(16, len(packet) + 1)]
            packet = struct.pack("=I", len(packet)) + packet[4:]
        return packet

    def shoot(self, family, seconds):
        """Returns how often each answer came."""
        told = collections.Counter()
        for _ in until(seconds):
            told[family.exchange(self.message(family))[0]] += 1
        return dict(told)


def show(told):
    note(", ".join(f"{errno.errorcode.get(code, 'done')} {n}" for code, n in sorted(told.items())))


# ---- who may not ----


def in_child(function):
    """Run a function in a process of its own, which it may put anywhere."""
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        os.close(reader)
        status = 1
        try:
            os.write(writer, repr(function()).encode())
            status = 0
        except BaseException as error:  # pylint: disable=broad-except
            os.write(writer, f"{type(error).__name__}: {error}".encode())
        finally:
            os._exit(status)
    os.close(writer)
    with open(reader, encoding="utf-8") as pipe:
        said = pipe.read()
    _, status = os.waitpid(child, 0)
    if status:
        raise AssertionError(said)
    return said


def unshare(flags):
    if libc.unshare(flags):
        raise OSError(ctypes.get_errno(), "unshare")


def drop():
    os.setgroups([])
    os.setresgid(NOBODY, NOBODY, NOBODY)
    os.setresuid(NOBODY, NOBODY, NOBODY)
    # /proc/self is that user's again.
    libc.prctl(PR_SET_DUMPABLE, 1, 0, 0, 0)


def become_root_elsewhere():
    """Root of a new user namespace, in the network namespace of the server."""
    drop()
    unshare(CLONE_NEWUSER)
    for name, text in (("setgroups", "deny"), ("uid_map", f"0 {NOBODY} 1"), ("gid_map", f"0 {NOBODY} 1")):
        pathlib.Path("/proc/self", name).write_text(text, encoding="ascii")


def become_root_of_a_network():
    become_root_elsewhere()
    unshare(CLONE_NEWNET)


def each_change_is_refused(family):
    """EPERM for each command that changes something, whatever it says."""
    for command, flags in family.commands.items():
        how = NLM_F_ACK if flags & GENL_CMD_CAP_DO else NLM_F_ACK | NLM_F_DUMP
        code, _ = family.exchange(message(family.family, command, flags=how))
        if flags & GENL_ADMIN_PERM:
            equal(f"errno of command {command}", errno.EPERM, code)
        elif code == errno.EPERM:
            raise AssertionError(f"command {command} may be used by anybody, and was refused")


# Who opens the socket, and who uses it: as a program does that was tricked into
# writing to a descriptor that it was given.
@test(
    "{0} changes nothing",
    (),
    [
        ("an unprivileged user", drop, None),
        ("root of a user namespace", become_root_elsewhere, None),
        ("root of a user namespace, in its own network,", become_root_of_a_network, None),
        ("another who was handed a socket of root", None, drop),
    ],
)
def _(name, before, after):
    def attack():
        if before:
            before()
        with Family() as family:
            if after:
                after()
            each_change_is_refused(family)
            return Netlink(name).shoot(family, SECONDS)

    with exported(SRV):
        was = state()
        show(ast.literal_eval(in_child(attack)))
        equal("configuration", was, state())


# ---- who may ----


def serve():
    """The server can be brought to serve, whatever it was told before."""
    unload()
    load()
    ctl("set", "source-burst", "0")
    with exported(SRV), Client("127.0.0.1") as client:
        same(FILE, fetch(client, "file", ("blksize", 1400), ("windowsize", 8)))


@test("root may say anything", ())
def _():
    with Family() as family:
        show(Netlink("root").shoot(family, 2 * SECONDS))
    serve()


@test("dumps that are abandoned half-way, and events that nobody reads", ())
def _():
    f = Netlink("dumps")
    for path in (FOLDER, FOLDER / "a", FOLDER / "b"):
        ctl("export", path)
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(Family())
        listener.socket.setsockopt(SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, listener.group)
        dumps = []
        for _ in until(SECONDS):
            dump = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, listener.socket.proto)
            dump.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
            for _ in range(3):
                with contextlib.suppress(OSError):
                    dump.send(message(listener.family, f.choice(sorted(listener.commands)), flags=NLM_F_DUMP))
            dumps.append(stack.enter_context(dump))
            if len(dumps) > 20:
                dumps.pop(f.randrange(len(dumps))).close()
            with Client("127.0.0.1") as client:
                client.request("none")
    serve()


run(module(), inside("server"), seed_told())
