#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""Random netlink messages. Started in the network namespace "server"."""

import ast
import ctypes
import errno
import os
import pathlib
import random
import socket
import struct
import subprocess
import time

from testbed import LOAD, SRV, ctl, equal, note, output, run, tests
from tftp_packet import Client

SECONDS = float(os.environ.get("TFTPK_FUZZ_SECONDS", "2"))
SEED = os.environ.get("TFTPK_FUZZ_SEED") or str(random.SystemRandom().randrange(1 << 32))
note(f"TFTPK_FUZZ_SEED={SEED}")

FOLDER = pathlib.Path(os.environ["WORK"]) / "folder"
NOBODY = 65534
CLONE_NEWUSER = 0x10000000
CLONE_NEWNET = 0x40000000
PR_SET_DUMPABLE = 4
NETLINK_GENERIC = 16
SOL_NETLINK = 270
NLM_F_REQUEST, NLM_F_ACK, NLM_F_DUMP = 1, 4, 0x300
NLMSG_ERROR, NLMSG_DONE = 2, 3
GENL_ID_CTRL, CTRL_CMD_GETFAMILY = 16, 3
GENL_ADMIN_PERM = 1

libc = ctypes.CDLL(None, use_errno=True)


def attribute(kind, payload, length=None):
    packed = struct.pack("=HH", 4 + len(payload) if length is None else length, kind) + payload
    return packed + bytes(-len(packed) % 4)


def attributes(packed):
    at = 0
    while at + 4 <= len(packed):
        length, kind = struct.unpack_from("=HH", packed, at)
        if length < 4:
            return
        yield kind & 0x3FFF, packed[at + 4:at + length]
        at += length + 3 & ~3


def message(family, command, payload=b"", flags=NLM_F_ACK, version=1):
    body = struct.pack("=BBH", command, version, 0) + payload
    return struct.pack("=IHHII", 16 + len(body), family, NLM_F_REQUEST | flags, 0, 0) + body


class Netlink:
    def __init__(self):
        self.socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_GENERIC)
        self.socket.bind((0, 0))
        self.socket.settimeout(30)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def messages(self):
        """Of one datagram: type and content."""
        packet = self.socket.recv(1 << 18)
        while len(packet) >= 16:
            length, kind = struct.unpack_from("=IH", packet)
            yield kind, packet[16:length]
            packet = packet[length + 3 & ~3:]

    def ask(self, packet):
        """Send it; returns the error number that ends the answer, or 0, and
        what came before.
        """
        try:
            self.socket.send(packet)
        except OSError as error:
            return error.errno, []
        got = []
        while True:
            for kind, content in self.messages():
                if kind in (NLMSG_ERROR, NLMSG_DONE):
                    # A dump's acknowledgment comes in front of it.
                    code = struct.unpack_from("=i", content)[0] if len(content) >= 4 else 0
                    return -code, got
                got.append(content[4:])

    def family(self):
        """Id of tftpk, its commands with their flags, the largest attribute."""
        code, got = self.ask(message(GENL_ID_CTRL, CTRL_CMD_GETFAMILY, attribute(2, b"tftpk\0")))
        equal("errno of CTRL_CMD_GETFAMILY", 0, code)
        told = dict(attributes(got[0]))
        commands = {}
        for _, op in attributes(told[6]):
            op = dict(attributes(op))
            commands[struct.unpack("=I", op[1])[0]] = struct.unpack("=I", op[2])[0]
        return struct.unpack("=H", told[1])[0], commands, struct.unpack("=I", told[5])[0]


class Fuzz(random.Random):
    def one_in(self, n):
        return self.randrange(n) == 0

    def path(self):
        return self.choice((
            str(FOLDER), f"{FOLDER}/a", f"{FOLDER}/b", f"{FOLDER}/a/..", str(FOLDER / "none"), str(SRV / "file"), "/",
            "/proc", "/proc/self/fd", "/sys", "/dev/null", "", ".", "..", "a" * 255, "/" + "a/" * 2040, "/x" * 3000,
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

    def message(self, family, commands, largest):
        command = self.choice(sorted(commands)) if not self.one_in(20) else self.randrange(256)
        flags = self.choice((0, 0, NLM_F_DUMP, 0x100, 0x200, self.randrange(65536) if self.one_in(8) else 0))
        packet = message(family, command, self.attributes(largest), flags | NLM_F_ACK, self.choice((0, 1, 1, 1, 2)))
        if self.one_in(40):
            packet = packet[: self.randrange(16, len(packet) + 1)]
            packet = struct.pack("=I", len(packet)) + packet[4:]
        return packet


def test(title):
    """Register a function as a test."""
    return lambda function: tests.append((title, function, ()))


def fuzz(what):
    return Fuzz(f"{SEED} {what}")


def until(seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        yield


def state():
    """All that commands could change."""
    return [output("tftpkctl", *words) for words in (("-j", "show"), ("-j", "get"))]


def shoot(f, netlink, seconds):
    """Returns how often each answer came."""
    family, commands, largest = netlink.family()
    told = {}
    for _ in until(seconds):
        code, _got = netlink.ask(f.message(family, commands, largest))
        told[code] = told.get(code, 0) + 1
    return told


def show(told):
    words = (f"{errno.errorcode.get(code, 'done') if code else 'done'} {n}" for code, n in sorted(told.items()))
    note(", ".join(words))


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
    pathlib.Path("/proc/self/setgroups").write_text("deny", encoding="ascii")
    pathlib.Path("/proc/self/uid_map").write_text(f"0 {NOBODY} 1", encoding="ascii")
    pathlib.Path("/proc/self/gid_map").write_text(f"0 {NOBODY} 1", encoding="ascii")


def each_change_is_refused(netlink):
    """EPERM for each command that changes something, whatever it says."""
    family, commands, _ = netlink.family()
    for command, flags in commands.items():
        code, _got = netlink.ask(message(family, command))
        if flags & GENL_ADMIN_PERM:
            equal(f"errno of command {command}", errno.EPERM, code)
        elif code == errno.EPERM:
            raise AssertionError(f"command {command} may be used by anybody, and was refused")


def unchanged(function):
    """Nothing that this does may change the server's configuration."""
    ctl("export", str(SRV))
    before = state()
    try:
        show(ast.literal_eval(in_child(function)))
        equal("configuration", before, state())
    finally:
        ctl("unexport", str(SRV))


@test("unprivileged users change nothing")
def _():
    def attack():
        drop()
        with Netlink() as netlink:
            each_change_is_refused(netlink)
            return shoot(fuzz("unprivileged"), netlink, SECONDS)

    unchanged(attack)


@test("root of a user namespace changes nothing")
def _():
    def attack():
        become_root_elsewhere()
        with Netlink() as netlink:
            each_change_is_refused(netlink)
            return shoot(fuzz("root elsewhere"), netlink, SECONDS)

    unchanged(attack)


@test("root of a user namespace changes nothing in its own network either")
def _():
    def attack():
        become_root_elsewhere()
        unshare(CLONE_NEWNET)
        with Netlink() as netlink:
            each_change_is_refused(netlink)
            return shoot(fuzz("root of a network"), netlink, SECONDS)

    unchanged(attack)


@test("a socket of root in the hands of another changes nothing")
def _():
    def attack():
        # Opened with all privileges, used without: as a program does that
        # was tricked into writing to a descriptor it was given.
        with Netlink() as netlink:
            drop()
            each_change_is_refused(netlink)
            return shoot(fuzz("borrowed"), netlink, SECONDS / 2)

    unchanged(attack)


def serve(server):
    """The server can be brought to serve, whatever it was told before."""
    subprocess.run(["rmmod", "tftpk"], check=True)
    subprocess.run(LOAD, check=True)
    ctl("set", "source-burst", "0")
    ctl("export", str(SRV))
    with Client(server) as client:
        equal("the file is what it was", True, client.fetch("file") == (SRV / "file").read_bytes())
    ctl("unexport", str(SRV))


@test("root may say anything")
def _():
    with Netlink() as netlink:
        show(shoot(fuzz("root"), netlink, 2 * SECONDS))
    serve("127.0.0.1")


@test("dumps that are abandoned half-way, and events that nobody reads")
def _():
    f = fuzz("dumps")
    for path in (FOLDER, FOLDER / "a", FOLDER / "b"):
        ctl("export", str(path))
    with Netlink() as listener:
        family, commands, largest = listener.family()
        code, got = listener.ask(message(GENL_ID_CTRL, CTRL_CMD_GETFAMILY, attribute(2, b"tftpk\0")))
        groups = dict(attributes(dict(attributes(got[0]))[7]))
        group = struct.unpack("=I", dict(attributes(groups[1]))[2])[0]
        listener.socket.setsockopt(SOL_NETLINK, 1, group)
        sockets = []
        for _ in until(SECONDS):
            netlink = Netlink()
            netlink.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
            for _ in range(3):
                try:
                    netlink.socket.send(message(family, f.choice(sorted(commands)), b"", NLM_F_DUMP))
                except OSError:
                    pass
            sockets.append(netlink)
            if len(sockets) > 20:
                sockets.pop(f.randrange(len(sockets))).socket.close()
            with Client("127.0.0.1") as client:
                client.request("none")
        for netlink in sockets:
            netlink.socket.close()
    serve("127.0.0.1")


run()
