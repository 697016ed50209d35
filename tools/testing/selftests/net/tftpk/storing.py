#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""Uploads from step to step: each answer of the agent, and none; their end at any time;
storage that fails or hangs; and who may write at all.
"""

import contextlib
import errno
import fcntl
import os
import random
import struct
import time

from lib import (
    CLIENTS, SERVERS, SRV, WORK, Ack, Client, Code, Error, Growth, Oack, Op, Unexpected, ack, between, content,
    counters, ctl, data, defer, disk, during, equal, fetch, has, idle, ip, listening, load, make, parse, request, run,
    same, served, settings, test, tmpfs, told, trusting, unload, wait_for,
)
from lib.agent import Agent, Events, agent_all, attached, empty, inbox, link, listed
from lib.forge import WIDE, Forger, away, crowded, stranger
from lib.genl import u32, u64
from lib.host import family
from lib.stall import Stall
from lib.upload import Upload, upload

INBOX = WORK / "inbox"
IP4 = SERVERS["IPv4"]
DATA = content(40_000)
WINDOW = (("blksize", 1024), ("windowsize", 8))


def nothing():
    """No file is there."""
    equal("files", [], [path.name for path in INBOX.iterdir()])


# ---- step by step ----


class Course:
    """An upload that goes from stage to stage by an agent that is led by hand. `question`
    waits for its answer.
    """

    STAGES = ("accept", "negotiating", "open", "receiving", "commit")

    def __init__(self, server, stage="accept", size=20_000, options=WINDOW, agent=None, name="file"):
        self.agent = agent or attached(uploads=True)
        self.name = name
        self.wanted = DATA[:size]
        empty(INBOX)
        self.client = during(Client(server))
        self.upload = Upload(self.client, self.wanted).ask(name, *options)
        self.fd = None
        self.question = self.agent.question("accept")
        self.transfer = self.question["transfer"]
        self.stage = "accept"
        while self.stage != stage:
            self.go_on()

    def go_on(self):
        getattr(self, f"after_{self.stage}")()

    def after_accept(self):
        self.agent.answer(self.question, welcome=True)
        self.upload.begin()
        self.question, self.stage = None, "negotiating"

    def after_negotiating(self):
        self.upload.send()
        self.question, self.stage = self.ask("open"), "open"

    def after_open(self):
        self.fd = os.open(INBOX, os.O_TMPFILE | os.O_WRONLY, 0o644)
        defer(self.close)
        self.agent.answer(self.question, fd=self.fd)
        self.upload.confirm()
        self.question, self.stage = None, "receiving"

    def after_receiving(self):
        while self.upload.end < self.upload.last:
            self.upload.step()
        self.upload.send()
        self.question, self.stage = self.ask("commit"), "commit"
        equal("size", len(self.wanted), u64(self.question["size"]))

    def after_commit(self):
        link(self.fd, INBOX / self.name)
        self.agent.answer(self.question, welcome=True)
        self.upload.confirm()
        self.client.peer = None
        self.question, self.stage = None, "stored"

    def ask(self, kind):
        question = self.agent.question(kind)
        equal("transfer", self.transfer, question["transfer"])
        return question

    def close(self):
        if self.fd is not None:
            os.close(self.fd)
            self.fd = None

    def finish(self):
        while self.stage != "stored":
            self.go_on()
        same(self.wanted, (INBOX / self.name).read_bytes())

    def failed(self, code=Code.UNDEFINED, **more):
        """The client is told, and nothing is left."""
        self.client.expect(Error, code=code, **more)
        self.client.peer = None
        self.gone()

    def gone(self):
        """The transfer ended. A late answer finds nobody, and there is no question."""
        idle()
        if self.question:
            self.agent.answer(self.question, errno.ENOENT, error_code=0)
        equal("questions", [], agent_all())
        nothing()


STAGES = Course.STAGES


@test("one upload, step by step: nothing is acknowledged before it is true")
def _(server):
    course = Course(server)
    course.client.expect_silence(0.3)
    while course.stage != "stored":
        course.go_on()
        if course.question:
            course.client.expect_silence(0.15)
    same(course.wanted, (INBOX / "file").read_bytes())


@test("the same of one block alone, and of nothing")
def _(server):
    agent = attached(uploads=True)
    for size in (0, 5, 511):
        course = Course(server, "open", size, (), agent)
        course.fd = os.open(INBOX, os.O_TMPFILE | os.O_WRONLY)
        defer(course.close)
        course.agent.answer(course.question, fd=course.fd)
        course.question, course.stage = course.ask("commit"), "commit"
        equal("size", size, u64(course.question["size"]))
        course.client.expect_silence(0.1)
        course.finish()


@test("a repeated request is the same upload: {0}", cases=STAGES, timed=True)
def _(server, stage):
    """Cisco's clients repeat it after 4 s; once they have written they do not."""
    during(settings(resolve_timeout=20))
    growth = Growth()
    course = Course(server, stage)
    for pause in (0, 0, 4 if stage in ("accept", "negotiating", "commit") else 0.5):
        time.sleep(pause)
        course.upload.repeat()
    answers = [packet for _, packet in course.client.arrived(0.1)]
    if stage == "negotiating":
        equal("answers", {Oack}, {type(packet) for packet in answers})
    else:
        equal("answers", set(), {type(packet) for packet in answers} - {Ack})
    equal("questions", [course.question["id"]] if course.question else [], [q["id"] for q in agent_all()])
    course.finish()
    growth.expect(requests_repeated=3, uploads_stored=1, transfers_started=1)


@test("a request for another name from the port of one that is not proved takes its place")
def _(server):
    course = Course(server, "negotiating")
    second = Upload(course.client, DATA[:100]).ask("other")
    course.agent.answer(course.agent.question("accept"), welcome=True)
    second.begin()
    second.client.error()
    second.client.peer = None
    course.gone()


@test("an ERROR of the client ends it quietly, and is told: {0}", cases=STAGES)
def _(server, stage):
    events = during(Events())
    course = Course(server, stage)
    course.client.peer = course.client.peer or course.client.listener
    growth = Growth()
    course.client.error(0, "no more")
    if stage == "accept":
        # It does not know the transfer's port yet.
        course.agent.answer(course.question, welcome=True)
        course.client.peer = None
        course.upload.begin()
        course.client.error(0, "no more")
        course.question = None
    growth.expect(transfers_active=0, uploads_stored=0)
    course.gone()
    event = events.next("end")
    has("event", {"id": u32(course.transfer), "direction": "write"}, event)
    equal("outcome", True, event["outcome"] in ("aborted", "probed"))
    course.client.expect_silence(0)
    course.client.peer = None


@test("a silent client is given up, and told of: {0}", cases=("negotiating", "receiving"), timed=True)
def _(server, stage):
    during(settings(give_up=2))
    events = during(Events())
    course = Course(server, stage)
    event = events.next("end")
    has("event", {"id": u32(course.transfer), "outcome": "timed_out", "direction": "write"}, event)
    course.client.arrived()
    course.client.peer = None
    course.gone()


@test("killed by its number: {0}", cases=STAGES)
def _(server, stage):
    events = during(Events())
    course = Course(server, stage)
    ctl("kill", u32(course.transfer))
    course.failed(text="no longer served")
    event = events.next("refused" if stage == "accept" else "end")
    has("event", {"id": u32(course.transfer), "outcome": "killed", "direction": "write"}, event)


@test("its listener goes: {0}", ("IPv4",), STAGES)
def _(server, stage):
    course = Course(server, stage)
    during(listening("*"))
    course.failed(text="no longer served")


@test("a first block larger than granted opens nothing")
def _(server):
    course = Course(server, "negotiating")
    course.client.send(data(1, DATA[:1025]))
    course.client.expect_silence(0.1)
    equal("questions", [], agent_all())
    course.finish()


@test("a first block other than 1 opens nothing")
def _(server):
    course = Course(server, "negotiating")
    for block in (2, 8, 0, 9, 65_535):
        course.upload.client.send(data(block, DATA[:1024]))
    course.client.arrived(0.1)
    equal("questions", [], agent_all())
    course.finish()


# ---- what is seen of it ----


@test("transfers and events tell of it")
def _(server):
    events = during(Events())
    course = Course(server)
    who = {"id": u32(course.transfer), "name": "file", "direction": "write"}
    seen = []
    while course.stage != "stored":
        (entry,) = listed()
        has("transfer", who, entry)
        seen.append(entry["state"])
        course.go_on()
    equal("states", ["opening", "negotiating", "receiving", "receiving", "storing"], seen)
    size = len(course.wanted)
    has("request", who | {"type": "request"}, events.next())
    has("start", who | {"type": "start", "block_size": 1024, "window_size": 8}, events.next())
    has("received", who | {"type": "received", "size": size}, events.next())
    wanted = who | {"type": "end", "outcome": "completed", "size": size, "acknowledged": size}
    has("end", wanted, events.next())


@test("how far it is can be seen")
def _(server):
    course = Course(server, "receiving", options=(*WINDOW, ("tsize", 20_000)))
    (entry,) = listed()
    has("transfer", {"size": 20_000, "acknowledged": 8192}, entry)
    (entry,) = told("transfers")
    has("tftpkctl", {"direction": "write", "state": "receiving"}, entry)
    course.finish()


@test("a refusal is told of, with its reason")
def _(server):
    events = during(Events())
    course = Course(server)
    course.agent.answer(course.question, error_code=6, reason="it is there")
    course.question = None
    course.failed(6, text="it is there")
    event = events.next("refused")
    has("event", {"direction": "write", "outcome": "denied", "error_code": 6, "reason": "it is there"}, event)


# ---- the agent's answers ----


@test("{0} is refused with the agent's code and text", cases=("accept", "open", "commit"))
def _(server, stage):
    growth = Growth()
    events = during(Events())
    agent = attached(uploads=True)
    for code, text in ((6, "there is one"), (3, "quota"), (2, ""), (0, "%s%n" * 10)):
        course = Course(server, stage, agent=agent)
        course.agent.answer(course.question, error_code=code, reason=text)
        course.question = None
        course.failed(code, text=text)
        if stage != "accept":
            has("event", {"outcome": "denied", "error_code": code, "reason": text}, events.next("end"))
    growth.expect(uploads_stored=0, transfers_active=0)


@test("{0} is not answered: an ERROR in time", cases=("accept", "open", "commit"), timed=True)
def _(server, stage):
    during(settings(resolve_timeout=3, store_timeout=5))
    growth = Growth()
    course = Course(server, stage)
    begun = time.monotonic()
    course.failed(Code.ACCESS if stage == "accept" else Code.UNDEFINED)
    between("seconds", 2.9, time.monotonic() - begun, 5.7)
    growth.expect(questions_unanswered=1, uploads_stored=0, **{
        "requests_refused" if stage == "accept" else "transfers_failed": 1
    })


@test("what waits for {0} keeps no other upload waiting", ("IPv4",), ("open", "commit"))
def _(server, stage):
    course = Course(server, stage)
    other = Course(server, "accept", agent=course.agent, name="other")
    other.finish()
    course.finish()


@test("repeated blocks while the agent makes up its mind do no harm: {0}", cases=("open", "commit"))
def _(server, stage):
    course = Course(server, stage)
    for _ in range(3):
        course.upload.send()
    course.client.expect_silence(0.05)
    equal("questions", [course.question["id"]], [q["id"] for q in agent_all()])
    course.finish()


@test("the agent is gone, another one comes in time: {0}", ("IPv4",), ("accept", "open"))
def _(server, stage):
    course = Course(server, stage)
    course.agent.__exit__()
    course.agent = during(Agent()).attach()
    question = course.agent.question(stage)
    equal("question", course.question["id"], question["id"])
    course.finish()


@test("the agent is gone, and no other comes: {0}", ("IPv4",), STAGES, timed=True)
def _(server, stage):
    during(settings(resolve_timeout=2, store_timeout=3, give_up=5))
    course = Course(server, stage)
    course.agent.__exit__()
    begun = time.monotonic()
    if stage == "negotiating":
        course.upload.send()
    if stage == "receiving":
        with contextlib.suppress(Unexpected):
            course.upload.finish()
    packet = course.client.receive() if stage != "receiving" else None
    if packet:
        equal("answer", Error, type(packet))
    course.client.peer = None
    between("seconds", 0, time.monotonic() - begun, 4)
    idle()
    nothing()


@test("whose agent is gone is not stored by another one", ("IPv4",))
def _(server):
    course = Course(server, "receiving")
    course.agent.__exit__()
    course.agent = during(Agent()).attach()
    while course.upload.end < course.upload.last:
        course.upload.step()
    course.upload.send()
    course.client.expect(Error)
    course.client.peer = None
    course.gone()


NOT_TO_ACCEPT = {
    "a descriptor": (errno.EINVAL, lambda: {"fd": opened(os.O_WRONLY)}),
    "a name": (errno.EINVAL, lambda: {"name": "file"}),
    "nothing": (errno.EINVAL, lambda: {}),
    "yes and no": (errno.EINVAL, lambda: {"welcome": True, "error_code": 2}),
    "a size alone": (errno.EINVAL, lambda: {"max_size": 1}),
    "a code that there is not": (errno.ERANGE, lambda: {"error_code": 9}),
}
NOT_TO_OPEN = {
    "welcome": (errno.EINVAL, lambda: {"welcome": True}),
    "the default": (errno.EINVAL, lambda: {"default": True}),
    "a name": (errno.EINVAL, lambda: {"name": "file"}),
    "a descriptor to read": (errno.EBADF, lambda: {"fd": opened(os.O_RDONLY)}),
    "a descriptor to append": (errno.EBADF, lambda: {"fd": opened(os.O_WRONLY | os.O_APPEND)}),
    "a descriptor of a path": (errno.EBADF, lambda: {"fd": opened(os.O_PATH)}),
    "a descriptor that is closed": (errno.EBADF, lambda: {"fd": 9999}),
    "a pipe": (errno.EACCES, lambda: {"fd": pipe()}),
    "a folder": (errno.EBADF, lambda: {"fd": opened(os.O_RDONLY, INBOX)}),
    "a device": (errno.EACCES, lambda: {"fd": opened(os.O_WRONLY, "/dev/null")}),
    "/proc": (errno.EACCES, lambda: {"fd": opened(os.O_WRONLY, "/proc/sys/kernel/domainname")}),
}
NOT_TO_COMMIT = {
    "a descriptor": (errno.EINVAL, lambda: {"fd": opened(os.O_WRONLY)}),
    "the default": (errno.EINVAL, lambda: {"default": True}),
    "a name": (errno.EINVAL, lambda: {"name": "file"}),
}


def opened(flags, path=None):
    """A descriptor, until the test is over."""
    place = path or WORK / "some"
    if not path:
        place.touch()
    fd = os.open(place, flags)
    defer(os.close, fd)
    return fd


def pipe():
    ends = os.pipe()
    for end in ends:
        defer(os.close, end)
    return ends[1]


@test("no answer to {0}: {1}", (), [
    (stage, what, *how)
    for stage, wrong in (("accept", NOT_TO_ACCEPT), ("open", NOT_TO_OPEN), ("commit", NOT_TO_COMMIT))
    for what, how in wrong.items()
])
def _(stage, _, wanted, fields):
    course = Course(IP4, stage)
    course.agent.answer(course.question, wanted, **fields())
    course.client.expect_silence(0.05)
    # It waits for another one.
    course.finish()


@test("O_DIRECT and O_APPEND are no answer, and set by fcntl meanwhile make no difference", ())
def _():
    folder = during(disk("ext4", 16, WORK / "direct"))
    course = Course(IP4, "open")
    fd = os.open(folder / "file", os.O_CREAT | os.O_RDWR)
    defer(os.close, fd)
    for flag in (os.O_DIRECT, os.O_APPEND):
        fcntl.fcntl(fd, fcntl.F_SETFL, flag)
        course.agent.answer(course.question, errno.EBADF, fd=fd)
    fcntl.fcntl(fd, fcntl.F_SETFL, 0)
    course.agent.answer(course.question, fd=fd)
    course.upload.confirm()
    course.question, course.stage = None, "receiving"
    fcntl.fcntl(fd, fcntl.F_SETFL, os.O_DIRECT | os.O_APPEND)
    course.after_receiving()
    fcntl.fcntl(fd, fcntl.F_SETFL, 0)
    same(course.wanted, os.pread(fd, 1 << 20, 0))
    course.agent.answer(course.question, welcome=True)
    course.upload.confirm()
    course.client.peer = None


@test("a file is written from its beginning, wherever its descriptor is", ("IPv4",))
def _(server):
    course = Course(server, "open", 2000)
    fd = opened(os.O_RDWR)
    os.write(fd, b"x" * 3000)
    course.agent.answer(course.question, fd=fd)
    course.question, course.stage = course.ask("commit"), "commit"
    os.ftruncate(fd, 2000)
    course.fd = os.dup(fd)
    defer(course.close)
    same(course.wanted, os.pread(fd, 4000, 0))
    link(course.fd, INBOX / "linked")
    course.agent.answer(course.question, welcome=True)
    course.upload.confirm()
    course.client.peer = None


@test("to which the default is the answer is refused, as without an agent")
def _(server):
    growth = Growth()
    course = Course(server)
    course.agent.answer(course.question, default=True)
    course.question = None
    course.failed(Code.ACCESS, text="read-only server")
    growth.expect(requests_refused=1)


@test("read-only: {0}", cases=("uploads are off", "there is no agent"))
def _(server, why):
    growth = Growth()
    during(settings(uploads=why != "uploads are off"))
    if why == "uploads are off":
        during(Agent()).attach()
    with Client(server) as client:
        client.request("file", op=Op.WRQ)
        client.expect(Error, code=Code.ACCESS, text="read-only server")
        client.peer = None
    growth.expect(writes_refused=1, questions=0)


@test("uploads are turned off: those that run go on", ("IPv4",))
def _(server):
    course = Course(server, "receiving")
    ctl("set", "uploads", "off")
    course.finish()


# ---- storage ----


def hears(one, code):
    """The client goes on until it hears an ERROR; what that is."""
    client = one.client
    while True:
        if one.acked < one.last:
            one.send()
        packet = client.receive()
        if isinstance(packet, Error):
            client.peer = None
            equal("code", code, packet.code)
            return packet
        if not isinstance(packet, Ack):
            raise Unexpected(f"wanted ACK or ERROR, got {packet}")
        one.acked += (packet.block - one.acked) & 0xFFFF


@test("blocks above the MTU, of many fragments")
def _(server):
    during(inbox())
    growth = Growth()
    with settings(clamp_mtu=False):
        wanted = content(300_000)
        # A sender may use what was granted to the last byte.
        for blksize, windowsize in ((8192, 4), (65464, 2), (5000, 1)):
            with Client(server) as client:
                done = upload(client, "large", wanted, ("blksize", blksize), ("windowsize", windowsize))
            equal("granted", (blksize, windowsize), (done.blksize, done.window))
            same(wanted, (INBOX / "large").read_bytes())
    growth.expect(data_ignored=0, uploads_stored=3)


@test("what the kernel cuts up on its way arrives whole")
def _(server):
    """Such blocks lie in pages of the sender."""
    during(inbox())
    wanted = random.Random(3).randbytes(500_000)
    with Client(server) as client:
        Upload(client, wanted).ask("trains", ("blksize", 1400), ("windowsize", 40)).begin().hurry()
        client.peer = None
    same(wanted, (INBOX / "trains").read_bytes())


@test("the disk is full: the client is told so, and nothing is left")
def _(server):
    full = during(tmpfs(WORK / "full", "size=64k"))
    agent = during(inbox(full))
    growth, events = Growth(), during(Events())
    with Client(server) as client:
        one = Upload(client, content(200_000)).ask("file", *WINDOW).begin()
        hears(one, Code.FULL)
        between("blocks", 8, one.acked, 64 + 8)
    event = events.next("end")
    has("event", {"outcome": "unwritable", "error_code": 3, "direction": "write"}, event)
    growth.expect(transfers_failed=1, uploads_stored=0, transfers_active=0)
    os.close(agent.files.pop(struct.pack("=I", event["id"])))
    equal("files", [], list(full.iterdir()))
    # What fits is taken nevertheless.
    with Client(server) as client:
        upload(client, "small", DATA[:10_000], *WINDOW)
    same(DATA[:10_000], (full / "small").read_bytes())


FAILS = {
    "EIO": (errno.EIO, Code.UNDEFINED),
    "EROFS": (errno.EROFS, Code.ACCESS),
    "ENOSPC": (errno.ENOSPC, Code.FULL),
    "EDQUOT": (errno.EDQUOT, Code.FULL),
    "EFBIG": (errno.EFBIG, Code.FULL),
    "ECANCELED": (errno.ECANCELED, Code.UNDEFINED),
}


def stalling():
    """A file system that stops answering, with one file that all uploads go to; and the
    agent.
    """
    folder = empty(WORK / "data")
    (folder / "file").touch(0o644)
    stall = during(Stall(WORK / "stall", folder))

    def opens(question):
        agent.files[question["transfer"]] = fd = os.open(WORK / "stall/file", os.O_WRONLY)
        return {"fd": fd}

    def commits(question):
        os.close(agent.files.pop(question["transfer"]))
        return {"welcome": True}

    agent = during(inbox(open=opens, commit=commits))
    return stall


@test("what writing fails by is told: {0}", ("IPv4",), FAILS.items())
def _(server, _, how):
    stall = stalling()
    with Client(server) as client:
        one = Upload(client, DATA).ask("file", *WINDOW).begin().step()
        stall.hold("WRITE")
        stall.tell("fail", how[0])
        hears(one, how[1])
    stall.go()
    idle()
    with Client(server) as client:
        upload(client, "file", DATA, *WINDOW)
    same(DATA, (WORK / "data/file").read_bytes())


@test("writing fails in the midst of many pieces", ("IPv4",))
def _(server):
    """What the kernel cuts up lies in pages of the sender, two for some blocks."""
    stall = stalling()
    with Client(server) as client:
        one = Upload(client, content(400_000)).ask("file", ("windowsize", 64)).begin()
        one.hurry(64)
        stall.hold("WRITE")
        stall.tell("fail", errno.EIO)
        with contextlib.suppress(Unexpected):
            one.hurry()
        client.peer = None
    idle()


@test("the last block is written, or its upload is not stored", ("IPv4",))
def _(server):
    growth = Growth()
    stall = stalling()
    with Client(server) as client:
        one = Upload(client, DATA[:3000]).ask("file", ("windowsize", 8)).begin()
        stall.hold("WRITE")
        one.send()
        stall.wait()
        client.expect_silence(0.2)
        stall.tell("fail", errno.EIO)
        client.expect(Error)
        client.peer = None
    idle()
    growth.expect(uploads_stored=0)


@contextlib.contextmanager
def frozen(folder):
    """Whatever writes there waits, meanwhile. Gives what ends that."""
    fd = os.open(folder, os.O_RDONLY)
    freeze, thaw = 0xC0045877, 0xC0045878
    fcntl.ioctl(fd, freeze, 0)
    try:
        yield lambda: fcntl.ioctl(fd, thaw, 0)
    finally:
        with contextlib.suppress(OSError):  # done before
            fcntl.ioctl(fd, thaw, 0)
        os.close(fd)


@test("a disk that does not answer holds up nobody else, and goes on")
def _(server):
    folder = during(disk("ext4", 16, WORK / "ext4"))
    make("served", DATA)

    def where(question):
        place = folder if question["name"] == b"slow\0" else INBOX
        fd = os.open(place, os.O_TMPFILE | os.O_WRONLY, 0o644)
        agent.files[question["transfer"]] = fd
        return {"fd": fd}

    def store(question):
        place = folder if question["name"] == b"slow\0" else INBOX
        link(agent.files[question["transfer"]], place / os.fsdecode(question["name"][:-1]))
        return {"welcome": True}

    agent = during(inbox(open=where, commit=store))
    with Client(server) as client:
        slow = Upload(client, content(100_000)).ask("slow", *WINDOW).begin().step()
        thaw = during(frozen(folder))
        slow.rest().step()
        # Taken, acknowledged, and not written.
        with Client(server) as other, Client(server) as reader:
            upload(other, "quick", DATA, *WINDOW)
            same(DATA, (INBOX / "quick").read_bytes())
            same(DATA, fetch(reader, "served", *WINDOW))
        thaw()
        slow.rest().finish()
    same(content(100_000), (folder / "slow").read_bytes())


@test("max-unwritten: ACKs wait for a disk that does not answer, and go on", timed=True)
def _(server):
    folder = during(disk("ext4", 32, WORK / "ext4"))
    during(inbox(folder))
    during(settings(max_unwritten=1))
    growth = Growth()
    wanted = random.Random(4).randbytes(4 << 20)
    options = (("blksize", 1400), ("windowsize", 64))
    ones = [Upload(during(Client(server)), wanted).ask(f"n{n}", *options).begin().step() for n in range(2)]
    thaw = during(frozen(folder))
    taken = 0
    for one in ones:
        one.rest()
        for _ in range(30):
            one.send()
            packet = one.client.poll(0.1)
            if packet != ack(one.end):
                break
            one.acked = one.end
        # Held, or beyond this client's part of the room.
        if packet:
            between("the last block that found room", one.acked + 1, parse(packet).block, one.end - 1)
            one.acked = parse(packet).block
        taken += one.acked * 1400
    assert taken < 1 << 20, f"{taken} bytes were taken"
    assert growth["acks_held"] > 0, "no ACK was held"
    thaw()
    for n, one in enumerate(ones):
        # What was held comes, or what found no room is sent again.
        while one.acked < one.last:
            one.flight(1, False)
        one.client.peer = None
        same(wanted, (folder / f"n{n}").read_bytes())


@contextlib.contextmanager
def narrow(mtu):
    """What the client sends comes in fragments of that, if not 1500."""
    ip("client", f"route add {IP4}/32 dev to-server mtu lock {mtu}")
    try:
        yield
    finally:
        ip("client", f"route delete {IP4}/32 dev to-server")


@test("blocks that take much memory are packed: of {0} bytes, MTU {1}", ("IPv4",), [(512, 1500, 300_000), (8192, 100, 200_000)])
def _(server, blksize, mtu, least):
    folder = during(disk("ext4", 16, WORK / "ext4"))
    during(inbox(folder))
    during(settings(clamp_mtu=False))
    during(narrow(mtu))
    with Client(server) as client:
        one = Upload(client, content(1_000_000)).ask("file", ("blksize", blksize), ("windowsize", 4)).begin().step()
        thaw = during(frozen(folder))
        one.rest()
        taken = one.acked
        while True:
            one.send()
            if client.poll(0.1) != ack(one.end):
                break
            one.acked = one.end
        between("bytes", least, (one.acked - taken) * blksize, 1 << 20)
        thaw()
        one.flight(1, False)
        one.finish()
    same(content(1_000_000), (folder / "file").read_bytes())


@test("killed while the disk does not answer: the client hears it, the rest comes later", ("IPv4",))
def _(server):
    folder = during(disk("ext4", 16, WORK / "ext4"))
    during(inbox(folder))
    with Client(server) as client:
        slow = Upload(client, content(100_000)).ask("slow", *WINDOW).begin().step()
        thaw = during(frozen(folder))
        slow.rest().step()
        ctl("kill", CLIENTS[family(server)])
        client.expect(Error, text="no longer served")
        client.peer = None
        thaw()
    idle()


# ---- who may ----


@test("a single port: who is beyond a router is refused, unless trusted")
def _(server):
    during(inbox())
    during(listening("* --single-port"))
    growth = Growth()
    with stranger(server, 90) as client:
        client.request("file", op=Op.WRQ)
        client.expect(Error, code=Code.ACCESS)
        client.peer = None
    growth.expect(writes_refused=1, questions=0)
    with trusting(WIDE[family(server)]), stranger(server, 91) as client:
        upload(client, "trusted", DATA, *WINDOW)
    same(DATA, (INBOX / "trusted").read_bytes())
    with Client(server) as client:
        upload(client, "near", DATA, *WINDOW)


def blocks():
    """The DATA of an upload of 3,000 bytes."""
    return [data(n, DATA[:3000][n * 512 - 512 : n * 512]) for n in range(1, 7)]


@test("a single port: whole forged uploads from beyond a router leave nothing")
def _(server):
    agent = during(inbox())
    during(listening("* --single-port"))
    forger, growth = Forger(server), Growth()
    for number in range(20):
        source = away(server, 3000 + number)
        forger.send(source, 2000, 69, request(f"n{number}", op=Op.WRQ))
        for packet in blocks():
            forger.send(source, 2000, 69, packet)
    growth.expect(writes_refused=20, data_received=0)
    idle()
    equal("questions", [], agent.asked)
    nothing()


def guessed():
    """Wrong guesses count for 10 s."""
    defer(time.sleep, 11)


@test("ports of their own: whole forged uploads at guessed ports leave nothing")
def _(server):
    """After a few wrong guesses nobody who was not validated may write."""
    guessed()
    during(inbox())
    during(settings(port_range="31000-31255"))
    forger, growth = Forger(server), Growth()
    for number in range(10):
        source = away(server, 3100 + number)
        forger.send(source, 2000, 69, request(f"n{number}", op=Op.WRQ))
        for packet in blocks():
            forger.send(source, 2000, 31000 + 25 * number, packet)
    wait_for("refusals", lambda: growth["writes_refused"] >= 4)
    between("questions", 1, growth["questions"], 6)
    idle(60)
    # One guess in 256 is right.
    between("uploads", 0, growth["uploads_stored"], 1)
    # Those guesses are no matter of who is near.
    with Client(server) as client:
        upload(client, "near", DATA, *WINDOW)


@test("a wrong guess of a port: no more is written in that client's name for a while")
def _(server):
    guessed()
    during(inbox())
    during(settings(port_range="31000-31255"))
    forger, growth, source = Forger(server), Growth(), away(server, 3150)
    for number in range(20):
        forger.send(source, 2000 + number, 69, request(f"n{number}", op=Op.WRQ))
        for packet in blocks():
            forger.send(source, 2000 + number, 31000 + number, packet)
    wait_for("refusals", lambda: growth["writes_refused"] >= 17)
    between("questions", 1, growth["questions"], 3)
    idle(60)
    between("uploads", 0, growth["uploads_stored"], 1)


@test("forged requests pin nothing, and give way")
def _(server):
    agent = during(inbox())
    during(settings(max_unverified=50, source_burst=0))
    forger, growth = Forger(server), Growth()
    for number in range(400):
        forger.send(away(server, 3200 + number), 2000, 69, request(f"n{number}", WINDOW, op=Op.WRQ))
    growth.expect(questions=400)
    assert growth["transfers_evicted"] >= 300, f"{growth['transfers_evicted']} gave way"
    wait_for("those to be gone", lambda: counters()["transfers_active"] <= 51)
    # Whoever writes is not one of them.
    with Client(server) as client:
        upload(client, "file", DATA, *WINDOW)
    equal("files", 1, agent.times("open"))
    growth.expect(uploads_stored=1)
    idle(60)


@test("requests beyond what a source may ask are dropped")
def _(server):
    during(inbox())
    during(settings(source_burst=8, source_rate=1))
    growth = Growth()
    clients = [during(Client(server)) for _ in range(300)]
    for client in clients:
        client.request("file", op=Op.WRQ)
    growth.expect(requests=300)
    # As many answers as a source gets that are no larger than an OACK.
    between("requests that were dropped", 150, growth["requests_limited"], 172)
    for client in clients:
        if client.poll():
            client.error()
        client.peer = None


# ---- the end of everything ----


def restore():
    load()
    ctl("set", "source-burst", "0")
    ctl("export", SRV)


@test("the module goes: {0}", ("IPv4",), STAGES)
def _(server, stage):
    course = Course(server, stage)
    other = Course(server, "receiving", agent=course.agent, name="other")
    course.agent.socket.close()
    course.agent.notices.close()
    ctl("sync", "/dev/null")
    unload()
    restore()
    for one in (course, other):
        one.upload.rest(Error(Code.UNDEFINED, "no longer served"))
        one.client.peer = None
    nothing()


run(served(), crowded())
