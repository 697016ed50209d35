# SPDX-License-Identifier: GPL-2.0
"""Agents of tests: one that is led by hand, and one that takes uploads by itself. And
who is told of events.
"""

import contextlib
import errno
import os
import select
import shutil
import socket
import struct
import threading
import time
import traceback

from .genl import NLM_F_ACK, TFTPK, Genl, attribute, attributes, message, messages, named, u32, u64
from .host import PATIENCE, WORK, wait_for
from .ktap import during, equal
from .server import settings
from .tftp import raw

OPERATIONS = ("read", "accept", "open", "commit")
WIDE = ("max_size",)


def number(set_name, name):
    return TFTPK[f"TFTPK_A_{set_name}_{name}".upper()]


def operation(question):
    return OPERATIONS[u32(question["operation"])]


class Agent(Genl):
    """Answers as it is told. Its notices come by a socket of their own."""

    def __init__(self, netns="server"):
        super().__init__(netns)
        self.group = Genl(netns)
        self.group.join("resolve")
        self.notices = self.group.socket

    def __exit__(self, *more):
        self.notices.close()
        super().__exit__(*more)

    def do(self, command, payload=b""):
        return self.exchange(message(self.family, TFTPK[f"TFTPK_CMD_RESOLVE_{command}"], payload, NLM_F_ACK))[0]

    def attach(self):
        equal("errno of attach", 0, self.do("ATTACH"))
        return self

    def questions(self):
        """Those that it was not told of yet."""
        code, entries = self.dump(TFTPK["TFTPK_CMD_RESOLVE_GET"])
        equal("errno of the dump", 0, code)
        return [named("question", entry) for entry in entries]

    def question(self, kind=None):
        """The only one that there is, or comes; of that kind."""
        found = wait_for("a question", self.questions)
        equal("questions", 1, len(found))
        if kind:
            equal("question", kind, operation(found[0]))
        return found[0]

    def say(self, question, **fields):
        """Answer: name, fd, error_code and reason, default, or welcome and max_size; with
        time_to_live and scope. Returns the errno.
        """
        payload = attribute(number("answer", "id"), question["id"])
        for name, value in fields.items():
            if value is True:
                packed = b""
            elif isinstance(value, int):
                packed = struct.pack("=Q" if name in WIDE else "=I", value)
            else:
                packed = raw(value) + b"\0"
            payload += attribute(number("answer", name), packed)
        return self.do("SET", payload)

    def answer(self, question, wanted=0, **fields):
        equal(f"errno of the answer {fields}", wanted, self.say(question, **fields))

    def noticed(self):
        """Was there a notice?"""
        self.notices.settimeout(0)
        with contextlib.suppress(BlockingIOError):
            return bool(self.notices.recv(1 << 16))
        return False


def agent_all():
    """All questions, as others than the agent see them."""
    with Genl("server") as other:
        return [named("question", entry) for entry in other.dump(TFTPK["TFTPK_CMD_RESOLVE_GET"])[1]]


# ---- uploads ----


class Inbox(Agent):
    """Takes uploads into a folder, in a thread of its own: accepts each, has it written to
    a file without a name, and gives it the one that was asked for, less what is before
    the last slash. Other answers to "accept", "open" and "commit" are functions of the
    question that return an answer's fields, or None for no answer.
    """

    def __init__(self, folder, netns="server", **how):
        super().__init__(netns)
        self.folder = folder
        self.how = {kind: getattr(self, kind) for kind in OPERATIONS[1:]} | how
        self.files = {}  # descriptors by the transfer
        self.asked = []  # kind and question
        self.errors = []
        self.stopped, self.stop = socket.socketpair()
        self.thread = threading.Thread(target=self.work)

    def attach(self):
        super().attach()
        self.thread.start()
        return self

    def __exit__(self, *more):
        self.stop.close()
        self.thread.join()
        self.stopped.close()
        for fd in self.files.values():
            os.close(fd)
        super().__exit__(*more)
        equal("errors of the agent", [], self.errors)

    def work(self):
        try:
            while True:
                for question in self.questions():
                    self.asked.append((operation(question), question))
                    fields = self.how[operation(question)](question)
                    if fields and (code := self.say(question, **fields)) not in (0, errno.ENOENT):
                        self.errors.append((operation(question), fields, os.strerror(code)))
                if self.stopped in select.select([self.notices, self.stopped], [], [])[0]:
                    return
                self.noticed()
        except Exception:  # the test has to know
            self.errors.append(traceback.format_exc(limit=-5))

    def times(self, kind):
        """How often it was asked that."""
        return sum(asked == kind for asked, _ in self.asked)

    @staticmethod
    def accept(_):
        return {"welcome": True}

    def open(self, question):
        fd = os.open(self.folder, os.O_TMPFILE | os.O_WRONLY, 0o644)
        self.files[question["transfer"]] = fd
        return {"fd": fd}

    def commit(self, question):
        fd = self.files.pop(question["transfer"])
        equal("size that is told", os.fstat(fd).st_size, u64(question["size"]))
        link(fd, self.folder / os.fsdecode(question["name"][:-1]).rpartition("/")[2])
        os.close(fd)
        return {"welcome": True}


def link(fd, path):
    """A name for an open file, instead of what has it."""
    path.unlink(missing_ok=True)
    # Only with a folder's descriptor Python follows the link, that of a process's file.
    os.link(f"/proc/self/fd/{fd}", path, src_dir_fd=fd)


def empty(folder):
    """It is there, and nothing is in it."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o755)
    return folder


@contextlib.contextmanager
def inbox(folder=None, **how):
    """An Inbox meanwhile, and the setting."""
    with settings(uploads=True), Inbox(folder or empty(WORK / "inbox"), **how) as agent:
        yield agent.attach()


def attached(**more):
    """An agent that is led by hand for the rest of the test, and settings."""
    during(settings(**more))
    return during(Agent()).attach()


# ---- events ----


def words(start):
    """What numbers of an enumeration stand for."""
    return {n: key.removeprefix(start).lower() for key, n in TFTPK.items() if key.startswith(start)}


KINDS = {
    "type": words("TFTPK_EVENT_TYPE_"),
    "outcome": words("TFTPK_OUTCOME_"),
    "direction": words("TFTPK_DIRECTION_"),
    "state": words("TFTPK_STATE_"),
}
TEXTS = ("name", "file", "reason")
NUMBERS = (
    *("id", "size", "acknowledged", "block_size", "window_size", "timeout", "rtt", "age", "error_code"),
    "blocks_retransmitted",
)


def readable(entry):
    """A transfer, or an event, for people."""
    found = {}
    for name, value in named("transfer", entry).items():
        if name in KINDS:
            value = KINDS[name][u32(value)]
        elif name in TEXTS:
            value = os.fsdecode(value[:-1])
        elif name in NUMBERS:
            value = (u64 if len(value) == 8 else u32)(value)
        found[name] = value
    return found


class Events:
    """What happens from now on."""

    def __init__(self):
        self.group = Genl("server")
        self.group.join("events")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.group.socket.close()

    def next(self, kind=None, seconds=PATIENCE):
        """The next one; of that kind, whatever comes before."""
        end = time.monotonic() + seconds
        while True:
            self.group.socket.settimeout(max(end - time.monotonic(), 0))
            try:
                packet = self.group.socket.recv(1 << 16)
            except (BlockingIOError, TimeoutError):
                raise AssertionError(f"no event {kind or ''} within {seconds:g} s") from None
            for _, content in messages(packet):
                event = readable(dict(attributes(content[4:])))
                if kind in (None, event["type"]):
                    return event


def listed():
    """The transfers, as readable() has them."""
    with Genl("server") as netlink:
        return [readable(entry) for entry in netlink.dump(TFTPK["TFTPK_CMD_TRANSFER_GET"])[1]]
