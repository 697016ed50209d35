#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""tftpkd's inboxes, with clients that people use: what they put is there once they are
told so, whatever happens to tftpkd, to the disk or to them; each word of the directive.
"""

import contextlib
import os
import random
import signal
import time

from lib import (
    CLIENTS, WORK, Ack, Client, Code, Error, Growth, Oack, Op, between, command, content, defer, during, equal,
    execute, has, idle, loop_device, make, matches, mounted, note, overlay, run, same, served, settings, test,
    tftpload, tmpfs, told, wait_for,
)
from lib.agent import empty
from lib.clients import put_atftp, put_busybox, put_curl, put_hpa
from lib.daemon import Daemon
from lib.forge import crowded, guest, lan
from lib.host import family
from lib.replay import HAS_LOG_WRITES, LoggedDisk, dmsetup, loop, mapper, sectors
from lib.upload import Upload, upload

# How often the agent is disturbed.
ROUNDS = int(os.environ.get("TFTPK_ROUNDS", "10"))
INBOX = WORK / "inbox"
NOBODY = 65534
LOCAL = WORK / "local"
DATA = content(40_000)
WINDOW = (("blksize", 1024), ("windowsize", 8))


def daemon(words="", folder=INBOX, **more):
    """tftpkd with an inbox: that folder, emptied, or another one."""
    if folder == INBOX:
        empty(INBOX)
    os.chown(folder, NOBODY, NOBODY)
    return Daemon(f"inbox {folder} {words}", uploads=True, **more)


def there(folder=INBOX):
    """The files, hidden ones too."""
    return {path.name for path in folder.iterdir()}


def puts(server, name, data=DATA, *options, folder=INBOX, **more):
    """An upload that is taken, whole."""
    with Client(server) as client:
        upload(client, name, data, *(options or WINDOW), **more)
    same(data, (folder / name.rpartition("/")[2]).read_bytes())


def denied(server, name, code, data=DATA, *options, text="*", client=None):
    """One that is refused at some time; returns how many blocks were acknowledged."""
    client = client or during(Client(server))
    one = Upload(client, data).ask(name, *(options or WINDOW))
    answer = client.receive()
    if not isinstance(answer, Error):
        one.take(answer)
        answer = push(one)
    client.peer = None
    equal("answer", (Error, code), (type(answer), getattr(answer, "code", None)))
    matches("text", text, answer.text)
    return one.acked


def push(one):
    """Go on to the end, or to an ERROR; returns the last packet."""
    while True:
        if one.acked < one.last:
            one.send()
        answer = one.client.receive()
        if not isinstance(answer, Ack):
            return answer
        one.acked += (answer.block - one.wire(one.acked)) & 0xFFFF
        if one.acked == one.last:
            return answer


# ---- clients ----

SIZES = (0, 1, 511, 512, 513, 1428, 8192, 22_848, 100_003)


@test(
    "{0}",
    cases=[
        ("curl", put_curl),
        ("curl, no options", put_curl, "--tftp-no-options"),
        ("curl, block size 1428", put_curl, "--tftp-blksize", 1428),
        ("tftp-hpa", put_hpa),
        ("atftp", put_atftp),
        ("atftp, block size 1428, window of 4", put_atftp, "blksize 1428", "windowsize 4"),
        ("atftp, block size 512, window of 16", put_atftp, "blksize 512", "windowsize 16"),
        ("atftp, block size 1428, window of 64", put_atftp, "blksize 1428", "windowsize 64"),
        ("busybox", put_busybox),
        ("busybox, block size 1428", put_busybox, "-b", 1428),
    ],
)
def _(server, _, put, *options):
    daemon()
    growth = Growth()
    for size in SIZES:
        wanted = content(size, size + 1)
        LOCAL.write_bytes(wanted)
        put(server, f"{size}", LOCAL, *options)
        same(wanted, (INBOX / f"{size}").read_bytes())
    growth.expect(uploads_stored=len(SIZES), transfers_failed=0, transfers_aborted=0, writes_refused=0)


@test("tftp-hpa, netascii")
def _(server):
    daemon()
    wanted = b"one\ntwo\r\nthree\rfour\n\n" * 200
    LOCAL.write_bytes(wanted)
    put_hpa(server, "text", LOCAL, "netascii")
    same(wanted, (INBOX / "text").read_bytes())


@test("40 MiB in blocks of 512, atftp", ("IPv4",))
def _(server):
    """More than 65,535 of them."""
    daemon("max-size 40M")
    LOCAL.write_bytes(random.Random(1).randbytes(40 << 20))
    put_atftp(server, "long", LOCAL, "windowsize 64")
    command("cmp", LOCAL, INBOX / "long")
    LOCAL.unlink()


@test("what was put can be had, and only whole", ("IPv4",))
def _(server):
    daemon("existing replace")
    puts(server, "file")
    with open(INBOX / "file", "rb") as before, Client(server) as client:
        one = Upload(client, DATA[::-1]).ask("file", *WINDOW).begin().step(2)
        same(DATA, (INBOX / "file").read_bytes())
        one.finish()
        same(DATA[::-1], (INBOX / "file").read_bytes())
        # Whoever reads the old one goes on.
        same(DATA, before.read())


def written(words, wanted):
    """What `tftpkctl test --write` says, and its status."""
    done = execute("tftpkctl", "-n", "server", "test", "--write", *words)
    matches("what it says", wanted, done.stdout)
    equal("status and errors", (int(not wanted.startswith("stored")), ""), (done.returncode, done.stderr))


@test("tftpkctl test --write: stored, refused and why", ())
def _():
    one = daemon("names *.cfg max-size 10K")
    for words, wanted in (
        (("switch.cfg",), "stored: switch.cfg, 1024 bytes in *"),
        (("switch.cfg",), "refused: ERROR 6, file already exists (see 'existing' *"),
        (("switch.txt",), "refused: ERROR 2, no uploads by such a name (see 'inbox' *"),
        (("large.cfg", "20K"), "refused: ERROR 3, file too large (no room, or a limit*"),
    ):
        written(words, wanted)
    has("JSON", {"name": "more.cfg", "stored": True, "size": 9999, "reason": None},
        told("test", "--write", "more.cfg", 9999))
    equal("sizes", {"switch.cfg": 1024, "more.cfg": 9999}, {path.name: path.stat().st_size for path in INBOX.iterdir()})
    line = (INBOX / "more.cfg").read_bytes()[32:64]
    equal("a line of it", b"tftpkctl test --write 000000001\n", line)
    one.end()
    written(("switch.cfg",), "refused: ERROR 2, read-only server (no agent runs*")
    with settings(uploads=False):
        written(("switch.cfg",), "failed: uploads is off: tftpkctl set uploads on*")


# ---- the directive ----


@test("existing refuse: what is there stays")
def _(server):
    daemon()
    puts(server, "file")
    denied(server, "file", Code.EXISTS, DATA[::-1])
    same(DATA, (INBOX / "file").read_bytes())
    equal("files", {"file"}, there())


@test("existing refuse: of two at one time one is stored", ("IPv4",))
def _(server):
    daemon()
    with Client(server) as first, Client(server) as second:
        one = Upload(first, DATA).ask("file", *WINDOW).begin().step()
        other = Upload(second, DATA[::-1]).ask("file", *WINDOW).begin().step()
        one.finish()
        equal("the other", Error, type(push(other)))
        second.peer = None
    same(DATA, (INBOX / "file").read_bytes())
    equal("files", {"file"}, there())


@test("existing version: older ones are kept")
def _(server):
    daemon("existing version")
    texts = [content(3000, n + 1) for n in range(3)]
    for text in texts:
        puts(server, "file", text)
    equal("files", {"file", "file.~1~", "file.~2~"}, there())
    same(texts[0], (INBOX / "file.~1~").read_bytes())
    same(texts[1], (INBOX / "file.~2~").read_bytes())


@test("names: others are refused")
def _(server):
    daemon("names *.cfg")
    puts(server, "switch.cfg")
    denied(server, "switch.txt", Code.ACCESS)
    equal("files", {"switch.cfg"}, there())


ODD = ("../out", "/../out", "..", ".", "/", "a/../../out", "..\\out", "x\n", b"\xff\xfe", "n" * 300)


@test("names that lead elsewhere, or nowhere, leave nothing", ("IPv4",))
def _(server):
    daemon()
    before = {path.name for path in WORK.iterdir()}
    for name in ODD:
        with Client(server) as client:
            one = Upload(client, b"x").ask(name)
            answer = client.receive()
            if isinstance(answer, Ack):
                push(one)
            client.peer = None
    idle()
    equal("beside the inbox", before, {path.name for path in WORK.iterdir()})
    equal("below it", set(), {name for name in there() if name.startswith(".")})


@test("a link in the inbox leads nowhere", ("IPv4",))
def _(server):
    daemon("existing replace")
    out = WORK / "outside"
    out.mkdir(mode=0o777, exist_ok=True)
    (INBOX / "folder").symlink_to(out)
    (INBOX / "file").symlink_to(out / "file")
    for name in ("folder/file", "file"):
        with Client(server) as client:
            one = Upload(client, DATA).ask(name)
            if isinstance(client.receive(), Ack):
                push(one)
            client.peer = None
    equal("outside", [], list(out.iterdir()))


@test("as: names below a prefix, others are refused")
def _(server):
    daemon("as backup")
    puts(server, "backup/file")
    denied(server, "file", Code.ACCESS)
    equal("files", {"file"}, there())


@test("for: clients of a network, others are refused")
def _(server):
    one = daemon("for 198.51.100.0/24")
    denied(server, "file", Code.ACCESS)
    equal("files", set(), there())
    one.end()
    daemon(f"for {CLIENTS[family(server)]}")
    puts(server, "file")


@test("max-size: told by tsize, or found out")
def _(server):
    daemon("max-size 10K")
    puts(server, "fits", DATA[:10_240])
    equal("blocks", 0, denied(server, "told", Code.FULL, DATA[:10_241], ("tsize", 10_241), *WINDOW))
    between("blocks", 1, denied(server, "silent", Code.FULL, DATA[:20_000]), 10)
    idle()
    equal("files", {"fits"}, there())


@test("mode: permissions of the file", ("IPv4",))
def _(server):
    for words, wanted in (("", 0o640), ("mode 0600", 0o600), ("mode 664", 0o664)):
        one = daemon(words)
        puts(server, "file")
        mode = (INBOX / "file").stat().st_mode & 0o7777
        if words:
            equal("mode", oct(wanted), oct(mode))
        else:
            equal("others may write", 0, mode & 0o002)
        one.end()


@test("owner: of the file, where tftpkd may say so", ("IPv4",))
def _(server):
    daemon("owner 1234:4321", capabilities=("chown",))
    puts(server, "file")
    stat = (INBOX / "file").stat()
    equal("owner", (1234, 4321), (stat.st_uid, stat.st_gid))


@test("quota: 100 writers at once, and it holds", ("IPv4",))
def _(server):
    daemon("quota 1M")
    size = 30_000
    # Each of another address: one alone does not have so many questions.
    clients = [guest(server, source=lan(server, n)) for n in range(100)]
    told = (*WINDOW, ("tsize", size))
    ones = [Upload(c, content(size, n + 1)).ask(f"n{n}", *told) for n, c in enumerate(clients)]
    stored, refused = [], []
    while ones:
        left = []
        for one in ones:
            answer = one.client.receive()
            if one.oack and isinstance(answer, Oack):
                answer = one.client.receive()
            if isinstance(answer, Error):
                equal("code", Code.FULL, answer.code)
                refused.append(one)
                continue
            if not one.oack:
                one.take(answer)
            else:
                equal("answer", Ack(one.end), answer)
                one.acked = one.end
            (stored if one.acked == one.last else left).append(one)
        ones = left
        for one in ones:
            one.send()
        between("bytes", 0, sum(path.stat().st_size for path in INBOX.iterdir()), 1 << 20)
    for client in clients:
        client.peer = None
    note(f"{len(stored)} stored, {len(refused)} refused")
    # Rounded up to 4096 bytes, and 4096 more.
    equal("stored", (1 << 20) // 36_864, len(stored))
    contents = [path.read_bytes() for path in INBOX.iterdir()]
    equal("files", sorted(one.content for one in stored), sorted(contents))


@test("quota: what was not stored gives its room back", ("IPv4",))
def _(server):
    daemon("quota 100K")
    for number in range(10):
        with Client(server) as client:
            Upload(client, DATA).ask(f"n{number}", *WINDOW, ("tsize", len(DATA))).begin().step()
    idle()
    puts(server, "one")
    puts(server, "two")
    denied(server, "three", Code.FULL, DATA, ("tsize", len(DATA)), *WINDOW)
    equal("files", {"one", "two"}, there())


@test("quota: what lies below an overlay counts", ("IPv4",))
def _(server):
    lower = during(tmpfs(WORK / "low", "size=8m"))
    (lower / "there").write_bytes(content(80_000))
    folder = during(overlay(WORK / "over", lower))
    daemon("quota 100K", folder)
    denied(server, "file", Code.FULL, DATA, ("tsize", len(DATA)), *WINDOW)


@test("per-client: so many at one time", ("IPv4",))
def _(server):
    daemon("per-client 2")
    ones = [Upload(during(Client(server)), DATA).ask(f"n{n}", *WINDOW).begin() for n in range(2)]
    for one in ones:
        one.step()
    denied(server, "third", Code.UNDEFINED)
    for one in ones:
        one.finish()
    puts(server, "another")


@test("two inboxes: the longest prefix has it", ("IPv4",))
def _(server):
    other = empty(WORK / "other")
    os.chown(other, NOBODY, NOBODY)
    empty(INBOX)
    os.chown(INBOX, NOBODY, NOBODY)
    Daemon(f"inbox {INBOX}", f"inbox {other} as deep/down", uploads=True)
    puts(server, "file")
    puts(server, "deep/down/file", folder=other)


# ---- nothing is left of what was not finished ----


@test("incomplete ones leave nothing, and no room is taken", ("IPv4",), timed=True)
def _(server):
    folder = during(tmpfs(WORK / "room", "size=8m"))
    daemon("", folder, give_up=2)

    def free():
        return os.statvfs(folder).f_bfree

    before = free()
    for how in ("ERROR", "silence", "closed"):
        client = Client(server)
        Upload(client, DATA).ask(how, *WINDOW, ("tsize", len(DATA))).begin().step(2)
        equal("it takes room", True, free() < before)
        if how == "ERROR":
            client.error(0, "no more")
        if how != "silence":
            client.close()
        idle()
        client.close()
        wait_for("its room", lambda: free() == before)
        equal("files", set(), there(folder))


@test("events are lost: what has ended gives its room back nevertheless", ("IPv4",), timed=True)
def _(server):
    began = time.monotonic()
    folder = during(tmpfs(WORK / "room", "size=8m"))
    one = daemon("per-client 2 quota 100K", folder)
    make("small", DATA[:3000])
    before = os.statvfs(folder).f_bfree
    ones = [Upload(during(Client(server)), DATA).ask(f"n{n}", *WINDOW, ("tsize", len(DATA))) for n in range(2)]
    for each in ones:
        each.begin().step()
    denied(server, "third", Code.UNDEFINED)
    growth = Growth()
    one.process.send_signal(signal.SIGSTOP)
    # Events of others fill the socket's buffer, so that the two ends find no room.
    while not growth["events_dropped"]:
        tftpload(server, "small", "--clients", 50, "--transfers", 500)
    for each in ones:
        each.client.error()
        each.client.peer = None
    idle()
    equal("its room is taken", True, os.statvfs(folder).f_bfree < before)
    one.process.send_signal(signal.SIGCONT)
    wait_for("its room", lambda: os.statvfs(folder).f_bfree == before)
    one.says("events were lost")
    puts(server, "first", folder=folder)
    puts(server, "second", folder=folder)
    equal("files", {"first", "second"}, there(folder))
    # It looks once a minute, too.
    between("seconds", 0, time.monotonic() - began, 50)


@test("an upload that ends at every block", ("IPv4",))
def _(server):
    daemon()
    for blocks in range(8):
        with Client(server) as client:
            one = Upload(client, DATA[:4000]).ask("file").begin()
            for _ in range(blocks):
                one.step()
            client.error()
            client.peer = None
    idle()
    equal("files", set(), there())


def hidden_left(server, folder):
    """tftpkd is killed while an upload has a hidden name. The next one removes that,
    though its owner may not write what is stored.
    """
    one = daemon("mode 0440", folder)
    with Client(server) as client:
        Upload(client, DATA).ask("file", *WINDOW).begin().step()
        names = there(folder)
        one.process.kill()
        one.process.wait(60)
        client.error()
        client.peer = None
    idle()
    one.begin()
    equal("files", set(), there(folder) - {"lost+found"})
    puts(server, "file", folder=folder)
    return names


@test("a file system without O_TMPFILE: vfat", ("IPv4",))
def _(server):
    image = WORK / "vfat.image"
    with open(image, "wb") as file:
        file.truncate(8 << 20)
    defer(image.unlink)
    command("busybox", "mkdosfs", image)
    folder = during(mounted(WORK / "vfat", "-o", f"loop,uid={NOBODY},gid={NOBODY}", "-t", "vfat", image))
    names = hidden_left(server, folder)
    equal("hidden", True, all(name.startswith(".") for name in names) and len(names) == 1)


@test("a file system that may have no O_TMPFILE: overlayfs", ("IPv4",))
def _(server):
    lower = empty(WORK / "lower")
    folder = during(overlay(WORK / "over", lower))
    hidden_left(server, folder)


# ---- tftpkd is killed and stopped ----


class Disturbed:
    """An upload in whose course something happens, at its request, its first window or its
    last.
    """

    def __init__(self, server, name, data, when, happens):
        self.client = during(Client(server))
        self.upload = Upload(self.client, data)
        self.when, self.happens = when, happens
        self.name = name
        self.upload.ask(name, *WINDOW)
        self.now("request")

    def now(self, when):
        if when == self.when:
            self.happens()

    def finish(self):
        """Returns the last answer."""
        one = self.upload
        answer = self.client.receive()
        if not isinstance(answer, Error):
            one.take(answer)
        while not isinstance(answer, Error) and one.acked < one.last:
            one.send()
            self.now("first" if not one.acked else "last" if one.end == one.last else None)
            answer = self.client.receive()
            if isinstance(answer, Ack):
                one.acked += (answer.block - one.acked) & 0xFFFF
        self.client.peer = None
        return answer


@test("killed, stopped and started at any time: told it is there, it is there", ("IPv4",), timed=True)
def _(server):
    chance = random.Random(1)
    one = daemon(resolve_timeout=2, store_timeout=4, give_up=5)
    stored, failed = set(), set()
    for turn in range(ROUNDS):
        kind = chance.choice((signal.SIGKILL, signal.SIGSTOP, signal.SIGTERM, signal.SIGHUP))
        when = ("request", "first", "last")[turn % 3]
        uploads = [
            Disturbed(
                *(server, f"{turn}-{number}", DATA[: 5000 * number + 700]),
                when if number == turn % 4 else None,
                lambda k=kind: one.process.send_signal(k),
            )
            for number in range(4)
        ]
        for each in uploads:
            if isinstance(each.finish(), Error):
                failed.add(each.name)
            else:
                same(each.upload.content, (INBOX / each.name).read_bytes())
                stored.add(each.name)
        one.process.send_signal(signal.SIGCONT)
        if kind in (signal.SIGKILL, signal.SIGTERM):
            one.process.wait(60)
            one.begin()
    idle()
    note(f"{len(stored)} stored, {len(failed)} failed")
    equal("some were stored, some failed", (True, True), (bool(stored), bool(failed)))
    # Those are still there, and what has its name though its client heard an ERROR is whole.
    equal("stored", stored, stored & there())
    for name in there():
        same(DATA[: 5000 * int(name[-1]) + 700], (INBOX / name).read_bytes())


# ---- disks ----


@test("a full disk: ERROR 3 at the request where the size is told", ("IPv4",))
def _(server):
    folder = during(tmpfs(WORK / "room", "size=64k"))
    daemon("", folder)
    big = content(2_000_000)
    between("blocks", 0, denied(server, "told", Code.FULL, big, ("tsize", len(big)), *WINDOW), 0)
    # What was written, and what may wait for that: how long it does is the scheduler's.
    between("blocks", 8, denied(server, "silent", Code.FULL, big), 64 + 512 + 8)
    idle()
    equal("files", set(), there(folder))
    puts(server, "fits", DATA, folder=folder)


@test("a disk without a bound has room", ("IPv4",))
def _(server):
    folder = during(tmpfs(WORK / "room", "size=0"))
    daemon("", folder)
    puts(server, "file", DATA, ("tsize", len(DATA)), *WINDOW, folder=folder)


@test("a mount point in the inbox: no uploads there", ("IPv4",))
def _(server):
    daemon()
    folder = INBOX / "folder"
    folder.mkdir()
    during(tmpfs(folder))
    folder.chmod(0o777)
    denied(server, "folder/file", Code.ACCESS)


@test("a read-only disk: ERROR 2 at the request", ("IPv4",))
def _(server):
    folder = during(tmpfs(WORK / "room", "size=8m"))
    daemon("", folder)
    command("mount", "-o", "remount,ro", folder)
    equal("blocks", 0, denied(server, "file", Code.ACCESS, text="the server's storage is read-only"))
    command("mount", "-o", "remount,rw", folder)
    puts(server, "file", folder=folder)


def unmounts(folder):
    return not execute("umount", folder).returncode


@test("an unmounted disk: an ERROR that says so, and nothing beneath it", ("IPv4",))
def _(server):
    device = during(loop_device(8, {}))
    folder = WORK / "disk"
    with mounted(folder, device):
        daemon("", folder)
        puts(server, "file", folder=folder)
        with Client(server) as client:
            one = Upload(client, DATA).ask("held", *WINDOW).begin().step()
            equal("it is unmounted", False, unmounts(folder))
            one.finish()
        same(DATA, (folder / "held").read_bytes())
        # tftpkd closes it when the client has its ACK.
        wait_for("it to be unmounted", lambda: unmounts(folder))
    folder.chmod(0o777)
    denied(server, "none", Code.UNDEFINED, text="the server's storage is not there")
    equal("files beneath", set(), there(folder))
    with mounted(folder, device):
        puts(server, "again", folder=folder)


@test("the inbox is gone: an ERROR that says no path", ("IPv4",))
def _(server):
    daemon()
    away = WORK / "away"
    INBOX.rename(away)
    try:
        with Client(server) as client:
            client.request("file", op=Op.WRQ)
            answer = client.expect(Error)
            equal("path", False, str(WORK) in answer.text)
            client.peer = None
    finally:
        away.rename(INBOX)
    puts(server, "file")


def on_mapper(name):
    """A folder on a disk of that name, and how many sectors that has."""
    image = WORK / f"{name}.image"
    with open(image, "wb") as file:
        file.truncate(16 << 20)
    defer(image.unlink)
    command("mkfs.ext4", "-q", "-E", "nodiscard,lazy_itable_init=0,lazy_journal_init=0", image)
    device = during(loop(image))
    size = sectors(device)
    mapped = during(mapper(name, f"0 {size} linear {device} 0"))
    return during(mounted(WORK / name, "-t", "ext4", mapped)), size


@test("a disk that hangs holds up no other inbox", ("IPv4",))
def _(server):
    folder, _ = on_mapper("hanging")
    empty(INBOX)
    for each in (INBOX, folder):
        os.chown(each, NOBODY, NOBODY)
    Daemon(f"inbox {INBOX}", f"inbox {folder} as hung per-client 8", uploads=True)
    ones = [Upload(during(Client(server)), DATA[:500]).ask(f"hung/n{n}", *WINDOW).begin() for n in range(8)]
    dmsetup("suspend", "hanging")
    try:
        for one in ones:
            one.send()
        puts(server, "file")
    finally:
        dmsetup("resume", "hanging")
    for one in ones:
        one.client.error()
        one.client.peer = None
    idle()


@test("a disk that fails: sync full tells of it", ("IPv4",))
def _(server):
    folder, size = on_mapper("failing")
    daemon("sync full", folder)
    puts(server, "before", folder=folder)
    with Client(server) as client:
        one = Upload(client, DATA).ask("file", *WINDOW).begin().step()
        dmsetup("suspend", "--noflush", "--nolockfs", "failing")
        dmsetup("reload", "failing", "--table", f"0 {size} error")
        dmsetup("resume", "failing")
        answer = push(one)
        equal("answer", Error, type(answer))
        client.peer = None
    idle()
    equal("files", False, "file" in there(folder))


def after_power_failure(server, words):
    """An upload, and what the disk has of it if the power fails once it is acknowledged."""
    disk, folder = LoggedDisk(WORK / "logged", 16), WORK / "logged"
    with disk:
        one = daemon(words, folder)
        os.sync()
        LOCAL.write_bytes(content(300_000))
        put_curl(server, "file", LOCAL)
        disk.mark("told")
        one.end()
    with disk.at("told", WORK / "after") as after:
        path = after / "file"
        return path.read_bytes() if path.exists() else None


POWER = ((),) if HAS_LOG_WRITES else ()


@test("sync full: what a client was told is there survives a power failure", ("IPv4",), POWER)
def _(server):
    same(content(300_000), after_power_failure(server, "sync full") or b"")


@test("sync none: it need not", ("IPv4",), POWER)
def _(server):
    """The control of the one before."""
    equal("whole", False, after_power_failure(server, "sync none") == content(300_000))


@contextlib.contextmanager
def skipped():
    if not HAS_LOG_WRITES:
        note("SKIP: power failures: no dm-log-writes")
    yield


run(served(), crowded(), skipped())
