# SPDX-License-Identifier: GPL-2.0
"""What a disk has after the power failed: dm-log-writes keeps the order in which writes
came to be safe, which is replayed. See its drivers/md/dm-log-writes.c.
"""

import contextlib
import shutil
import struct

from .host import WORK, command, execute, mounted
from .ktap import defer

MAGIC, SECTOR = 0x6A736677736872, 512
DISCARD, MARK = 4, 8
HAS_LOG_WRITES = shutil.which("dmsetup") and not execute("modprobe", "dm-log-writes").returncode


def dmsetup(*words, **more):
    return command("dmsetup", "--noudevrules", "--noudevsync", *words, **more)


@contextlib.contextmanager
def loop(path):
    """A device of a file meanwhile."""
    device = command("losetup", "--find", "--show", path).strip()
    try:
        yield device
    finally:
        command("losetup", "--detach", device)


@contextlib.contextmanager
def mapper(name, table):
    """A device by the device mapper meanwhile."""
    dmsetup("create", name, "--table", table)
    dmsetup("mknodes")
    try:
        yield f"/dev/mapper/{name}"
    finally:
        dmsetup("remove", "--retry", name)


def sectors(device):
    return int(command("blockdev", "--getsz", device))


class LoggedDisk:
    """An ext4 of some MiB, meanwhile mounted there, whose writes are kept. Afterwards it can
    be looked at as it was at each mark.
    """

    def __init__(self, folder, size):
        self.folder = folder
        self.size = size
        self.before, self.image, self.log = (WORK / f"logged.{what}" for what in ("before", "image", "log"))
        self.stack = contextlib.ExitStack()

    def __enter__(self):
        for path, size in ((self.image, self.size), (self.log, 4 * self.size)):
            with open(path, "wb") as file:
                file.truncate(size << 20)
            defer(path.unlink)
        command("mkfs.ext4", "-q", "-E", "nodiscard,lazy_itable_init=0,lazy_journal_init=0", self.image)
        shutil.copyfile(self.image, self.before)
        defer(self.before.unlink)
        enter = self.stack.enter_context
        data, log = enter(loop(self.image)), enter(loop(self.log))
        device = enter(mapper("logged", f"0 {sectors(data)} log-writes {data} {log}"))
        enter(mounted(self.folder, "-t", "ext4", "-o", "nodiscard", device))
        return self

    def __exit__(self, *_):
        # The log is whole when its device goes.
        self.stack.close()

    @staticmethod
    def mark(name):
        dmsetup("message", "logged", "0", "mark", name)

    @contextlib.contextmanager
    def at(self, name, folder):
        """What the disk has if the power failed at that mark: meanwhile mounted there."""
        after = WORK / "logged.after"
        shutil.copyfile(self.before, after)
        try:
            with open(after, "r+b") as disk:
                for sector, data in self.writes(name):
                    disk.seek(sector * SECTOR)
                    disk.write(data)
            with mounted(folder, "-o", "loop", "-t", "ext4", after):
                yield folder
        finally:
            after.unlink()

    def writes(self, name):
        """Pairs of a sector and what came to be there, in order, up to the mark."""
        with open(self.log, "rb") as log:
            magic, version, entries, size = struct.unpack("<QQQI", log.read(28))
            assert (magic, version, size) == (MAGIC, 1, SECTOR), (magic, version, size)
            at = SECTOR
            for _ in range(entries):
                log.seek(at)
                head = log.read(SECTOR)
                sector, count, flags, length = struct.unpack_from("<QQQQ", head)
                at += SECTOR
                if flags & MARK and head[32 : 32 + length].rstrip(b"\0") == name.encode():
                    return
                if flags & DISCARD or flags & MARK:
                    continue
                log.seek(at)
                yield sector, log.read(count * SECTOR)
                at += count * SECTOR
        raise AssertionError(f"no mark {name} in the log")
