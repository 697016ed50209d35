# SPDX-License-Identifier: GPL-2.0
"""Clients that people use, and the load generator. Each fetches a file and returns its
content, or puts a local one there, or fails with what the program said.
"""

import json
import signal
import subprocess

from .host import HERE, SRV, WORK, argument, command, execute, inside
from .ktap import defer


def url(server, name):
    host = f"[{server}]" if ":" in server else server
    return f"tftp://{host}/{name}"


def did(words, netns):
    """Run a client to its end, which must be a good one."""
    done = execute(*words, netns=netns)
    # tftp-hpa's status tells nothing, its output does.
    said = (done.stdout + done.stderr).strip()
    if done.returncode or (words[0] == "tftp" and said):
        raise AssertionError(f"{' '.join(map(str, words))}: status {done.returncode}: {said}")


def got(words, local, netns):
    """What a program leaves in a file."""
    local.unlink(missing_ok=True)
    did(words, netns)
    assert local.exists(), f"{' '.join(map(str, words))}: no file"
    content = local.read_bytes()
    local.unlink()
    return content


def curl(server, name, *options, netns="client"):
    """Options as for curl."""
    local = WORK / "got.curl"
    return got(
        ("curl", "-gsSf", "--path-as-is", "-o", local, *options, url(server, name)), local, netns
    )


def atftp(server, name, *pairs, netns="client"):
    """Options of the protocol, as "blksize 1428"."""
    local = WORK / "got.atftp"
    options = [word for pair in pairs for word in ("--option", pair)]
    return got(("atftp", *options, "-g", "-r", name, "-l", local, server), local, netns)


def hpa(server, name, netns="client"):
    """tftp-hpa has no options."""
    local = WORK / "got.hpa"
    return got(("tftp", "-m", "binary", server, "-c", "get", name, local), local, netns)


def busybox(server, name, *options, netns="client"):
    """Options as for busybox."""
    local = WORK / "got.busybox"
    return got(("busybox", "tftp", "-g", "-r", name, "-l", local, *options, server), local, netns)


def put_curl(server, name, local, *options, netns="client"):
    did(("curl", "-gsSf", "-T", local, *options, url(server, name)), netns)


def put_atftp(server, name, local, *pairs, netns="client"):
    options = [word for pair in pairs for word in ("--option", pair)]
    did(("atftp", *options, "-p", "-r", name, "-l", local, server), netns)


def put_hpa(server, name, local, mode="binary", netns="client"):
    did(("tftp", "-m", mode, server, "-c", "put", local, name), netns)


def put_busybox(server, name, local, *options, netns="client"):
    did(("busybox", "tftp", "-p", "-r", name, "-l", local, *options, server), netns)


def tftpload(server, name, *options, netns="client"):
    """Many clients in one process that fetch a file of SRV; see its usage. Returns its
    figures.
    """
    return json.loads(command(HERE / "tftpload", "--data", SRV / name, *options, server, name, netns=netns))


def start(*words, netns="client", **more):
    """A program in the background, until it ends or the test does."""
    more = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL} | more
    with inside(netns):
        process = subprocess.Popen(list(map(argument, words)), **more)
    defer(stop, process)
    return process


def stop(process):
    """What is stopped would not notice otherwise."""
    if process.poll() is None:
        process.terminate()
        process.send_signal(signal.SIGCONT)
    process.wait()
