#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""The question to user space: an agent says what names stand for, and the server
remembers it; who does not answer holds up nobody for longer than the timeout.
"""

import contextlib
import errno
import fcntl
import json
import os
import socket
import struct
import threading
import time

from lib import (
    CLIENTS, SERVERS, SRV, WORK, Client, Code, Data, Error, Growth, Oack, as_user, between,
    command, content, counters, ctl, defer, disk, during, equal, execute, exported, has, inside, listening, load,
    mac, make, request, routed, run, same, served, settings, test, tmpfs, told, unload, wait_for,
)
from lib import agent as agents
from lib.agent import Agent, agent_all
from lib.forge import Forger, away, crowded
from lib.genl import SOL_NETLINK, TFTPK

IP4, IP6 = SERVERS.values()
NETLINK_BROADCAST_ERROR = 4
FILE = make("file", b"what the root holds\n")
OTHER = make("folder/other", content(3000))
make("long", content(400_000))


def attached(resolve="all", **more):
    """An agent for the rest of the test, and the setting."""
    return agents.attached(resolve=resolve, **more)


def asks(server, name, *options, **more):
    """A client that has sent a request; closed when the test is over."""
    client = during(Client(server))
    client.request(name, options, **more)
    return client


def gets(client, wanted=FILE):
    """A file of one block is its answer."""
    client.expect(Data, block=1, payload=wanted)
    client.ack(1)
    client.peer = None


def take(client):
    """The rest of a transfer without options."""
    parts = []
    while not parts or len(parts[-1]) == 512:
        parts.append(client.expect(Data, block=len(parts) + 1).payload)
        client.ack(len(parts))
    client.peer = None
    return b"".join(parts)


def refused(client, code=Code.NOT_FOUND, **more):
    client.expect(Error, code=code, **more)
    client.peer = None


def memory(data):
    """A descriptor of a file that is in memory alone."""
    fd = os.memfd_create("answer")
    os.write(fd, data)
    return fd


def fence_off(agent):
    """The server has dealt with all that was sent, though it asks."""
    with inside("client"), Client(IP4) as client:
        client.request("fence")
        found = wait_for("the fence", lambda: [q for q in agent_all() if q["name"] == b"fence\0"])
        agent.answer(found[0], error_code=1)
        client.expect(Error)
        client.peer = None


# ---- what is asked ----


@test("all names are asked about, with what is known of the client")
def _(server):
    agent = attached()
    client = asks(server, b"of \xff\xfe bytes", ("blksize", 1024), ("windowsize", 4), ("timeout", 3))
    question = agent.question()
    family = socket.AF_INET6 if ":" in server else socket.AF_INET
    mine = CLIENTS["IPv6" if ":" in server else "IPv4"]
    ifindex = int(command("ip", "-n", "server", "-o", "link", "show", "to-client").split(":")[0])
    has("question", {
        "operation": struct.pack("=I", TFTPK["TFTPK_OPERATION_READ"]),
        "name": b"of \xff\xfe bytes\0",
        "mode": struct.pack("=I", TFTPK["TFTPK_TRANSFER_MODE_OCTET"]),
        "client_address": socket.inet_pton(family, mine),
        "client_port": struct.pack("!H", client.port),
        "server_address": socket.inet_pton(family, server),
        "server_port": struct.pack("!H", 69),
        "ifindex": struct.pack("=I", ifindex),
        "mac": mac("client", "to-server"),
        "block_size": struct.pack("=I", 1024),
        "window_size": struct.pack("=I", 4),
        "timeout": struct.pack("=I", 3_000_000),
    }, question)
    agent.answer(question, default=True)
    refused(client)


@test("what a client does not say is not in its question")
def _(server):
    agent = attached()
    client = asks(server, "file", mode="netascii")
    question = agent.question()
    equal("mode", struct.pack("=I", TFTPK["TFTPK_TRANSFER_MODE_NETASCII"]), question["mode"])
    equal("options", set(), {"block_size", "window_size", "timeout"} & set(question))
    agent.answer(question, default=True)
    client.expect(Data, block=1)


@test("off, nobody is asked")
def _(server):
    growth = Growth()
    agent = attached("off")
    gets(asks(server, "file"))
    refused(asks(server, "nothing"))
    equal("questions", [], agent.questions())
    growth.expect(questions=0)
    with settings(resolve="all"):
        client = asks(server, "file")
        agent.answer(agent.question(), default=True)
        gets(client)
    growth.expect(questions=1)


@test("missing, only what no export has is asked about")
def _(server):
    agent = attached("missing")
    gets(asks(server, "file"))
    equal("questions", [], agent.questions())
    for name, given in (("nothing", "file"), ("nothing/at/all", "/file")):
        client = asks(server, name)
        agent.answer(agent.question(), name=given)
        gets(client)
    client = asks(server, "nothing")
    agent.answer(agent.question(), default=True)
    refused(client)


@test("a repeated request asks once")
def _(server):
    agent = attached()
    client = asks(server, "nothing")
    for _ in range(3):
        client.send(request("nothing"))
    fence_off(agent)
    agent.answer(agent.question(), name="file")
    gets(client)
    client.expect_silence(0)


# ---- answers ----


@test("a name, with a prefix, and beyond a link")
def _(server):
    agent = attached()
    with exported(SRV / "folder", "--as", "boot"):
        for given in ("boot/other", "/folder/other", "\\folder\\other"):
            client = asks(server, "anything")
            agent.answer(agent.question(), name=given)
            same(OTHER, take(client))
    client = asks(server, "anything")
    agent.answer(agent.question(), name="../outside")
    refused(client)


@test("an ERROR, with its text")
def _(server):
    agent = attached()
    growth = Growth()
    for code, text in ((1, "ask somebody else"), (0, ""), (2, "x" * 59), (8, "%s%n")):
        client = asks(server, "file")
        agent.answer(agent.question(), error_code=code, reason=text)
        refused(client, code, text=text)
    growth.expect(requests_refused=4, transfers_started=0, transfers_active=0)


@test("a descriptor: of a file, of memory, and of one that is gone")
def _(server):
    agent = attached()
    secret = WORK / "secret"
    secret.write_bytes(OTHER)
    secret.chmod(0o600)
    gone = WORK / "gone"
    gone.write_bytes(OTHER)
    for path in (secret, gone, None):
        client = asks(server, "anything", ("windowsize", 4), ("tsize", 0))
        fd = os.open(path, os.O_RDONLY) if path else memory(OTHER)
        if path == gone:
            path.unlink()
        agent.answer(agent.question(), fd=fd)
        os.close(fd)
        equal("size", str(len(OTHER)), client.expect(Oack)["tsize"])
        client.ack(0)
        equal("sizes", [512, 512, 512, 512], [client.expect(Data, block=n).length for n in range(1, 5)])
        client.ack(4)
        client.blocks(5, 6)
        client.ack(6)
        client.peer = None


@test("a file that shrinks ends its transfer", ("IPv4",))
def _(server):
    agent = attached()
    path = WORK / "shrinks"
    path.write_bytes(OTHER)
    client = asks(server, "anything")
    with open(path, "rb") as file:
        agent.answer(agent.question(), fd=file.fileno())
    client.block(1)
    os.truncate(path, 100)
    client.ack(1)
    refused(client, Code.UNDEFINED, text="file changed")


BAD = {
    "of a folder": (errno.EACCES, lambda: os.open(SRV, os.O_RDONLY)),
    "of a pipe": (errno.EACCES, lambda: os.pipe()[0]),
    "of a device": (errno.EACCES, lambda: os.open("/dev/null", os.O_RDONLY)),
    "of /proc/sys": (errno.EACCES, lambda: os.open("/proc/sys/kernel/hostname", os.O_RDONLY)),
    "of sysfs": (errno.EACCES, lambda: os.open("/sys/kernel/uevent_seqnum", os.O_RDONLY)),
    "to write": (errno.EBADF, lambda: os.open(SRV / "file", os.O_WRONLY)),
    "of a path": (errno.EBADF, lambda: os.open(SRV / "file", os.O_PATH)),
    "that is closed": (errno.EBADF, lambda: 9999),
    "that cannot be": (errno.EBADF, lambda: 0xFFFFFFFF),
}


@test("no answer: a descriptor {0}", (), [(what, *how) for what, how in BAD.items()])
def _(_, wanted, make_it):
    agent = attached()
    client = asks(IP4, "file")
    question = agent.question()
    fd = make_it()
    agent.answer(question, wanted, fd=fd)
    with contextlib.suppress(OSError, OverflowError):
        os.close(fd)
    agent.answer(question, default=True)
    gets(client)


@test("O_DIRECT is no answer, set by fcntl at any time", ())
def _():
    agent = attached()
    with disk("ext4", 8) as folder:
        (folder / "direct").write_bytes(FILE)
        with open(folder / "direct", "rb") as file:
            client = asks(IP4, "it")
            agent.answer(agent.question(), fd=file.fileno(), time_to_live=60_000)
            gets(client)
            fcntl.fcntl(file, fcntl.F_SETFL, os.O_DIRECT)
            refused(asks(IP4, "it"), Code.UNDEFINED)
            client = asks(IP4, "other")
            question = agent.question()
            agent.answer(question, errno.EBADF, fd=file.fileno())
            agent.answer(question, error_code=1)
            refused(client)
        agent.do("FLUSH")
        wait_for("the file system to be free", lambda: not execute("umount", folder).returncode)


WRONG = {
    "without content": (errno.EINVAL, {}),
    "a name and the default": (errno.EINVAL, {"name": "file", "default": True}),
    "a code and a name": (errno.EINVAL, {"name": "file", "error_code": 1}),
    "a code that there is not": (errno.ERANGE, {"error_code": 9}),
    "a text that is too long": (errno.EINVAL, {"error_code": 1, "reason": "x" * 60}),
    "a scope that there is not": (errno.ERANGE, {"default": True, "scope": 2}),
}


@test("no answer: {0}", (), [(what, *how) for what, how in WRONG.items()])
def _(_, wanted, fields):
    agent = attached()
    client = asks(IP4, "file")
    question = agent.question()
    agent.answer(question, wanted, **fields)
    agent.answer(question, default=True)
    gets(client)
    agent.answer(question, errno.ENOENT, default=True)
    agent.answer({"id": struct.pack("=I", 0)}, errno.ENOENT, default=True)


# ---- who may ----


@test("one agent at a time, and only it answers", ())
def _():
    agent = attached()
    client = asks(IP4, "file")
    question = agent.question()
    with Agent() as other:
        equal("errno of another one", errno.EBUSY, other.do("ATTACH"))
        other.answer(question, errno.EPERM, default=True)
        equal("it sees the question", [question["id"]], [q["id"] for q in other.questions()])
    equal("the agent is told once", [], agent.questions())
    agent.attach()
    equal("and once more, attached anew", question["id"], agent.question()["id"])
    agent.answer(question, default=True)
    gets(client)


@test("without CAP_NET_ADMIN nobody is the agent", ())
def _():
    script = (
        "import sys; sys.path.insert(0, '/tests')\n"
        "from lib.genl import *\n"
        "g = Genl()\n"
        "for c in 'ATTACH', 'SET', 'FLUSH': print(g.exchange(message(g.family, TFTPK['TFTPK_CMD_RESOLVE_' + c], b'', NLM_F_ACK))[0])\n"
        "print(g.dump(TFTPK['TFTPK_CMD_RESOLVE_GET'])[0])\n"
    )
    got = command(*as_user("65534", (), "python3", "-B", "-c", script), netns="server")
    equal("errnos", [errno.EPERM] * 4, list(map(int, got.split())))


@test("the questions of an agent that goes are the next one's")
def _(server):
    with settings(resolve="all"):
        with Agent() as agent:
            agent.attach()
            client = asks(server, "nothing")
            agent.question()
        # From now on there is no agent: nobody waits for one.
        gets(asks(server, "file"))
        with Agent().attach() as agent:
            agent.answer(agent.question(), name="file")
            gets(client)


# ---- nobody answers ----


@test("a question waits that long, then policy {0} holds", cases=("default", "refuse"), timed=True)
def _(server, policy):
    growth = Growth()
    agent = attached(resolve_policy=policy, resolve_timeout=3)
    client = asks(server, "file")
    begun = time.monotonic()
    question = agent.question()
    if policy == "default":
        gets(client)
    else:
        refused(client)
    # As late as timers may be, an eighth.
    between("seconds", 3, time.monotonic() - begun, 3.4)
    agent.answer(question, errno.ENOENT, default=True)
    growth.expect(questions=1, questions_unanswered=1)


@test("without an agent policy {0} holds at once", cases=("default", "refuse"))
def _(server, policy):
    growth = Growth()
    with settings(resolve="all", resolve_policy=policy):
        client = asks(server, "file")
        if policy == "default":
            gets(client)
        else:
            refused(client)
    growth.expect(questions=0, questions_unanswered=1)


@test("missing, and nobody answers: not found", timed=True)
def _(server):
    attached("missing")
    refused(asks(server, "nothing"))


@test("a client has 16 questions, then policy holds")
def _(server):
    growth = Growth()
    agent = attached()
    clients = [asks(server, f"n{i}") for i in range(16)]
    wait_for("16 questions", lambda: len(agent_all()) == 16)
    gets(asks(server, "file"))
    growth.expect(questions=16, questions_unanswered=1)
    for question in agent.questions():
        agent.answer(question, name="file")
    for client in clients:
        gets(client)
    client = asks(server, "file")
    agent.answer(agent.question(), error_code=1)
    refused(client)


@test("a client that is trusted has as many questions as max-pending allows", ("IPv4",))
def _(server):
    ctl("trust", CLIENTS["IPv4"])
    defer(ctl, "untrust", CLIENTS["IPv4"])
    growth = Growth()
    agent = attached()
    clients = [asks(server, f"n{i}") for i in range(40)]
    wait_for("40 questions", lambda: len(agent_all()) == 40)
    for question in agent.questions():
        agent.answer(question, name="file")
    for client in clients:
        gets(client)
    growth.expect(questions=40, questions_unanswered=0)


@test("max-pending: half is for those who are near", ())
def _():
    with routed():
        agent = attached(max_pending=4)
        with inside("far"):
            far = [asks(IP4, f"f{i}") for i in range(3)]
        wait_for("2 questions", lambda: len(agent_all()) == 2)
        refused(far[2])
        near = [asks(IP4, f"n{i}") for i in range(3)]
        wait_for("4 questions", lambda: len(agent_all()) == 4)
        refused(near[2])
        for question in agent.questions():
            agent.answer(question, name="file")
        for client in far[:2] + near[:2]:
            gets(client)


@test("10,000 questions that wait for a second slow no transfer down", ("IPv4",), timed=True)
def _(server):
    with crowded():
        many = {name: 20_000 for name in ("max_pending", "max_unverified", "max_transfers")}
        agent = attached(resolve_timeout=30, **many)
        client = asks(server, "long")
        agent.answer(agent.question(), name="long")
        client.block(1)

        def pace(first):
            # What was repeated since the last one.
            client.arrived()
            begun = time.monotonic()
            for block in range(first, first + 200):
                client.ack(block)
                client.block(block + 1)
            return time.monotonic() - begun

        alone = pace(1)
        growth = Growth()
        forger = Forger(server)
        for number in range(10_000):
            forger.send(away(server, 2000 + number // 16), 2000 + number, 69, request(f"n{number}"))
        growth.expect(questions=10_000, questions_unanswered=0)
        found = agent.questions()
        equal("questions", 10_000, len(found))
        between("time of 200 blocks, against that alone", 0.5, pace(201) / alone, 1.1)
        time.sleep(1)
        for question in found:
            agent.answer(question, error_code=1)
        between("time of 200 blocks afterwards", 0.5, pace(401) / alone, 1.1)
        growth.expect(requests_refused=10_000, questions_unanswered=0)
        client.error()
        client.peer = None


# ---- what is remembered ----


@test("an answer is remembered for its client, as long as it lives", timed=True)
def _(server):
    growth = Growth()
    agent = attached()
    client = asks(server, "it")
    agent.answer(agent.question(), name="file", time_to_live=5000)
    gets(client)
    gets(asks(server, "it"))
    growth.expect(questions=1, answers_remembered=1)
    # Another mode and another name are other questions; so is another client.
    for name, mode in (("it", "netascii"), ("other", "octet")):
        client = asks(server, name, mode=mode)
        agent.answer(agent.question(), error_code=1)
        refused(client)
    with inside("server"):
        client = asks(server, "it")
    agent.answer(agent.question(), error_code=1)
    refused(client)
    time.sleep(5.1)
    client = asks(server, "it")
    agent.answer(agent.question(), name="file")
    gets(client)
    growth.expect(questions=5, answers_remembered=1)


@test("an answer is remembered for all")
def _(server):
    agent = attached()
    client = asks(server, "it")
    agent.answer(agent.question(), name="file", time_to_live=60_000, scope=1)
    gets(client)
    with inside("server"):
        gets(asks(server, "it"))
    gets(asks(server, "it"))


@test("an ERROR for all is remembered for 5 seconds at most", ("IPv4",), timed=True)
def _(server):
    agent = attached()
    client = asks(server, "it")
    agent.answer(agent.question(), error_code=1, time_to_live=60_000, scope=1)
    refused(client)
    refused(asks(server, "it"))
    time.sleep(5.1)
    client = asks(server, "it")
    agent.answer(agent.question(), name="file")
    gets(client)


FORGETS = {
    "resolve-flush": lambda agent: equal("errno", 0, agent.do("FLUSH")),
    "export": lambda agent: during(exported(SRV / "folder", "--as", "x")),
    "unexport": lambda agent: (ctl("export", SRV / "folder", "--as", "y"), ctl("unexport", SRV / "folder")),
    "listen": lambda agent: during(listening("*")),
    "a sync": lambda agent: ctl("sync", "-", stdin=f"set resolve all\nset source-burst 0\nexport {SRV}\n"),
}


@test("forgotten by {0}", (), FORGETS.items())
def _(_, forget):
    agent = attached()
    client = asks(IP4, "it")
    agent.answer(agent.question(), fd=memory(FILE), time_to_live=60_000)
    gets(client)
    gets(asks(IP4, "it"))
    forget(agent)
    client = asks(IP4, "it")
    agent.answer(agent.question(), error_code=1)
    refused(client)


@test("forgotten with a new agent", ())
def _():
    with settings(resolve="all"):
        for _ in range(2):
            with Agent().attach() as agent:
                client = asks(IP4, "it")
                agent.answer(agent.question(), name="file", time_to_live=60_000)
                gets(client)


@test("1,024 ERRORs are remembered, and the oldest is forgotten first", ())
def _():
    agent = attached()
    growth = Growth()
    with Client(IP4) as client:
        for i in range(1025):
            client.request(f"n{i}")
            agent.answer(agent.question(), error_code=1, time_to_live=600_000)
            refused(client)
        client.request("n1")
        refused(client)
        growth.expect(answers_remembered=1)
        client.request("n0")
        agent.answer(agent.question(), error_code=1)
        refused(client)


@test("memory that a remembered file takes counts, a quarter of max-pinned at most", ())
def _():
    agent = attached(max_pinned=1)
    for size, again in ((1 << 17, False), (1 << 18, True)):
        client = asks(IP4, f"of {size}")
        fd = memory(b"x" * (size + 1))
        agent.answer(agent.question(), fd=fd, time_to_live=60_000)
        os.close(fd)
        client.block(1)
        client.error()
        client.peer = None
        client = asks(IP4, f"of {size}")
        if again:
            agent.answer(agent.question(), error_code=1)
            refused(client)
        else:
            client.block(1)
            client.error()
            client.peer = None


@test("a remembered file keeps its file system until all is forgotten", ())
def _():
    folder = WORK / "mount"
    agent = attached()
    with tmpfs(folder):
        (folder / "it").write_bytes(FILE)
        client = asks(IP4, "it")
        with open(folder / "it", "rb") as file:
            agent.answer(agent.question(), fd=file.fileno(), time_to_live=60_000)
        gets(client)
        wait_for("the transfer to end", lambda: not counters()["transfers_active"])
        equal("status of umount", 32, execute("umount", folder).returncode)
        ctl("unexport", SRV)
        defer(ctl, "export", SRV)
        command("umount", folder)


# ---- notices, and what ends while it waits ----


@test("one notice, until the agent looks", ())
def _():
    agent = attached()
    clients = [asks(IP4, f"n{i}") for i in range(5)]
    wait_for("5 questions", lambda: len(agent_all()) == 5)
    equal("a notice", (True, False), (agent.noticed(), agent.noticed()))
    equal("questions", 5, len(agent.questions()))
    clients.append(asks(IP4, "n5"))
    wait_for("another notice", agent.noticed)
    for question in agent_all():
        agent.answer(question, error_code=1)
    for client in clients:
        refused(client)


@test("a notice that found no room is told with the next question, errors told: {0}", (), (False, True))
def _(errors):
    agent = attached()
    agent.notices.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
    agent.notices.setsockopt(SOL_NETLINK, NETLINK_BROADCAST_ERROR, errors)
    for number in range(20):
        client = asks(IP4, f"n{number}")
        agent.answer(agent.question(), error_code=1)
        refused(client)
    clients = [asks(IP4, "lost")]
    wait_for("a question", agent_all)
    lost = False
    while True:
        try:
            if not agent.noticed():
                break
        except OSError as error:
            equal("error", errno.ENOBUFS, error.errno)
            lost = True
    equal("notices were lost", True, lost)
    clients.append(asks(IP4, "told"))
    wait_for("a notice", agent.noticed)
    for question in agent.questions():
        agent.answer(question, error_code=1)
    for client in clients:
        refused(client)


ENDS = {
    "kill": lambda client: ctl("kill", CLIENTS["IPv4"]),
    "unexport": lambda client: (ctl("unexport", SRV), defer(ctl, "export", SRV)),
    "another listener": lambda client: during(listening("*")),
    "rmmod": lambda client: (unload(), load(), ctl("set", "source-burst", "0"), ctl("export", SRV)),
}


@test("{0} ends what waits for an answer", (), ENDS.items())
def _(what, end):
    agent = attached()
    client = asks(IP4, "nothing")
    question = agent.question()
    if what == "rmmod":
        agent.socket.close()
    end(client)
    client.expect(Error, text="no longer served")
    client.peer = None
    if what != "rmmod":
        agent.answer(question, errno.ENOENT, default=True)


# ---- tftpkctl test ----


@test("tftpkctl test asks as a request does", ())
def _():
    agent = attached()
    answers = []

    def look(*words):
        words = ("tftpkctl", "-n", "server", "-j", "test", *words)
        thread = threading.Thread(target=lambda: answers.append(json.loads(execute(*words).stdout)))
        thread.start()
        return thread

    thread = look("it", "--from", CLIENTS["IPv4"])
    question = agent.question()
    equal("name", b"it\0", question["name"])
    agent.answer(question, name="file", time_to_live=60_000)
    thread.join()
    has("answer", {"answered_by": "agent", "size": len(FILE)}, answers.pop())
    has("once more", {"answered_by": "memory", "size": len(FILE)}, told("test", "it", "--from", CLIENTS["IPv4"]))
    thread = look("denied")
    agent.answer(agent.question(), error_code=2, reason="not for you")
    thread.join()
    has("answer", {"answered_by": "agent", "error_code": 2, "reason": "not for you"}, answers.pop())
    thread = look("memory")
    agent.answer(agent.question(), fd=memory(OTHER))
    thread.join()
    has("answer", {"answered_by": "agent", "size": len(OTHER)}, answers.pop())
    has("nobody answers", {"answered_by": "policy"}, told("test", "file"))
    has("no agent is asked", {"answered_by": "kernel", "size": len(FILE)}, told("test", "--no-agent", "file"))


run(served())
