# SPDX-License-Identifier: GPL-2.0
"""tftpkd, as its unit starts it."""

import os
import signal
import socket
import subprocess

from .host import WORK, as_user, inside, wait_for
from .ktap import defer, during, equal
from .server import settings

CONF = WORK / "tftpkd.conf"


class Daemon:
    """tftpkd with such a configuration, for the rest of the test; it may have more
    capabilities than one.
    """

    def __init__(self, *lines, resolve="missing", capabilities=(), **more):
        during(settings(resolve=resolve, **more))
        self.words = as_user(65534, ("net_admin", *capabilities), "tftpkd", "-f", str(CONF))
        self.configure(*lines)
        self.log = WORK / "tftpkd.log"
        self.begin()
        defer(self.end)

    def configure(self, *lines):
        CONF.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")

    def begin(self):
        """Start it and wait until it is there."""
        socket_path = WORK / "notify"
        socket_path.unlink(missing_ok=True)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ready:
            ready.bind(str(socket_path))
            socket_path.chmod(0o777)
            ready.settimeout(60)
            with inside("server"), open(self.log, "ab") as log:
                self.process = subprocess.Popen(
                    list(map(str, self.words)),
                    env=os.environ | {"NOTIFY_SOCKET": str(socket_path), "LC_ALL": "C.UTF-8"},
                    stdin=subprocess.DEVNULL, stdout=log, stderr=log)
            try:
                equal("what it tells systemd", b"READY=1", ready.recv(64))
            except TimeoutError:
                raise AssertionError(f"it is not ready: {self.log.read_text(encoding='utf-8')[-1000:]}") from None

    def says(self, text):
        wait_for(f"'{text}'", lambda: text in self.log.read_text(encoding="utf-8", errors="replace"))

    def end(self, number=signal.SIGTERM, status=0):
        """End it, unless it has ended."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.send_signal(number)
            equal("status", status, self.process.wait(60))

    def reload(self, *lines):
        self.configure(*lines)
        self.process.send_signal(signal.SIGHUP)
