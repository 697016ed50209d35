# SPDX-License-Identifier: GPL-2.0
"""Loads for the scripts that gather evidence, and what makes their verdicts fail."""

import contextlib
import os
import sys

from .host import HERE, SERVERS, SRV
from .server import settings
from .tftp import Client, Data, Error
from .upload import netascii, upload

# In the VM, where the tests lie in /tests, this is below the root, too.
SCRIPTS = HERE / "../../../../../scripts/trace"
SERVER = SERVERS["IPv4"]
# Transfers of some slabs
HELD = 100
# Seconds for which silent clients are kept, however long gathering evidence takes
PATIENT = 600
# So many lookups, each of which copies a name, and then a command
LOOKUPS = (
    "sh", "-c", 'n=$1; shift; for i in $(seq "$n"); do tftpkctl -n server test --no-agent "no\\\\such"; done'
    ' >/dev/null 2>&1; exec "$@"', "sh",
)
# Commands: hold() and text() below
HOLD, TEXT = (
    ("env", f"PYTHONPATH={HERE}", sys.executable, "-B", "-m", "lib.evidence", name) for name in ("hold", "text")
)


def load(window, file="file", *options):
    """A client that compares every byte."""
    options += ("--blksize", 1428, "--windowsize", window, "--patience", 10)
    return HERE / "tftpload", "--data", SRV / file, *options, SERVER, file


def write(window, *options):
    """A client that writes the file."""
    options += ("--blksize", 1428, "--windowsize", window, "--patience", 10)
    return HERE / "tftpload", "--write", "--data", SRV / "file", *options, SERVER, "written-%"


def begin(client):
    """A transfer whose client is validated."""
    client.open("file", ("blksize", 1428))
    for block in 0, 1:
        client.ack(block)
        client.expect(Data, block=block + 1)


@contextlib.contextmanager
def hampered():
    """Nothing is read ahead while others hold what may be pinned."""
    with settings(max_pinned=1, give_up=PATIENT), contextlib.ExitStack() as clients:
        for _ in range(8):
            begin(clients.enter_context(Client(SERVER)))
        yield


def text():
    """Write random bytes as text, in lock step: few of them are line ends."""
    with Client(SERVER) as client:
        upload(client, "text", netascii(os.urandom(100_000)), ("blksize", 1428), mode="netascii")


def hold():
    """Begin transfers that stay: some more each time that this is run."""
    clients = [Client(SERVER) for _ in range(HELD)]
    for client in clients:
        begin(client)
    if not os.fork():
        # Nobody waits for this process, nor for its output. An ERROR tells that it is over.
        os.closerange(0, 3)
        clients[0].expect(Error, PATIENT)


if __name__ == "__main__":
    {"hold": hold, "text": text}[sys.argv[1]]()
