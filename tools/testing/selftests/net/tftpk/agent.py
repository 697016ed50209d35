#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""tftpkd, the agent that comes with the server: each directive by requests, its
configuration while it runs, and its end at any time.
"""

import contextlib
import os
import random
import signal
import socket
import threading
import time

from lib import (
    CLIENTS, SRV, WORK, Client, Code, Data, Error, content, counters, ctl, defer, during, equal, execute,
    fetch, load, make, matches, run, same, served, test, unload, wait_for,
)
from lib.daemon import CONF, Daemon

# How often the agent is disturbed.
ROUNDS = int(os.environ.get("TFTPK_ROUNDS", "10"))
FILE = make("file", b"what the root holds\n")
FOLDED = make("Boot/x64/WDSNBP.com", content(3000))


def script(name, lines):
    """A command for the agent."""
    path = WORK / name
    path.write_text(f"#!/bin/sh\n{lines}\n", encoding="utf-8")
    path.chmod(0o755)
    return path


def got(server, name):
    """What a client gets."""
    with Client(server) as client:
        return fetch(client, name)


def refused(server, name, code=Code.NOT_FOUND):
    with Client(server) as client:
        client.request(name)
        client.expect(Error, code=code)
        client.peer = None


@test("map: names are changed and refused; file probes ask the kernel")
def _(server):
    rules = WORK / "rules"
    rules.write_text("rE ^if-(.*)$ \\1\nr ^dos.(.*) \\1\na ^deny not\\ \\i\n", encoding="utf-8")
    Daemon(f"map {rules}")
    same(FILE, got(server, "if-file"))
    same(FILE, got(server, "dos\\file"))
    refused(server, "deny", Code.ACCESS)
    refused(server, "if-missing")
    # The kernel remembers.
    before = counters()["questions"]
    same(FILE, got(server, "dos\\file"))
    equal("questions", before, counters()["questions"])
    said = execute("tftpkctl", "-n", "server", "test", "if-file", "--from",
                   CLIENTS["IPv6" if ":" in server else "IPv4"])
    matches("test", f"served: {SRV}/file, *", said.stdout)


@test("fold-case: files whose name differs in case", ("IPv4",))
def _(server):
    Daemon("fold-case")
    same(FOLDED, got(server, "boot/X64/wdsnbp.COM"))
    refused(server, "boot/none")


@test("generate: the output of a command, which is run once for many clients")
def _(server):
    make_menu = script("menu", f'echo "$TFTPK_NAME for $TFTPK_CLIENT_ADDRESS $TFTPK_MAC"; echo x >>{WORK}/count')
    count = WORK / "count"
    count.write_bytes(b"")
    count.chmod(0o666)
    Daemon(f"generate --ttl 1h menu/* {make_menu}", "generate long /usr/bin/head -c 200000 /dev/zero")
    matches("menu", f"menu/x for {CLIENTS['IPv6' if ':' in server else 'IPv4']} ??:??:??:??:??:??\n",
            got(server, "menu/x").decode())
    got(server, "menu/x")
    equal("times that it ran", "x\n", count.read_text(encoding="utf-8"))
    same(bytes(200000), got(server, "long"))
    refused(server, "other")


@test("rewrite-socket: another program says what names become", ("IPv4",))
def _(server):
    path = WORK / "rewrite"
    path.unlink(missing_ok=True)
    lines = []
    listener = during(socket.socket(socket.AF_UNIX))
    listener.bind(str(path))
    path.chmod(0o777)
    listener.listen()

    def serve():
        with contextlib.suppress(OSError), listener.accept()[0] as peer, peer.makefile("rw") as stream:
            for line in stream:
                lines.append(line)
                stream.write(line.split(" ", 2)[2].replace("new-", ""))
                stream.flush()

    threading.Thread(target=serve, daemon=True).start()
    Daemon(f"rewrite-socket {path}")
    same(FILE, got(server, "new-file"))
    equal("lines", [f"{CLIENTS['IPv4']} read new-file\n"], lines)
    refused(server, "neither")


@test("hooks: who got what, and who was refused", ("IPv4",))
def _(server):
    out = WORK / "hooked"
    out.write_bytes(b"")
    out.chmod(0o666)
    hook = script("hook", f'echo "$1 $TFTPK_CLIENT_ADDRESS $TFTPK_NAME $TFTPK_FILE $TFTPK_OUTCOME" >>{out}')
    Daemon(f"hook end {hook} end", f"hook refused {hook} refused")
    got(server, "file")
    refused(server, "missing")
    wanted = {f"end {CLIENTS['IPv4']} file {SRV}/file completed", f"refused {CLIENTS['IPv4']} missing  unreadable"}
    wait_for("hooks", lambda: wanted <= set(out.read_text(encoding="utf-8").splitlines()))


@test("a configuration that is wrong stays out; a new one takes over", ("IPv4",))
def _(server):
    daemon = Daemon("generate x /bin/echo one")
    same(b"one\n", got(server, "x"))
    daemon.reload("generate x /bin/echo two", "nonsense")
    daemon.says("the configuration stays as it was")
    daemon.says(f"{CONF}:2:1: no directive 'nonsense'")
    same(b"one\n", got(server, "x"))
    daemon.reload("generate x /bin/echo three", "hook end /bin/true")
    wait_for("the new answer", lambda: got(server, "x") == b"three\n")


@test("one agent alone; it ends with the module", ())
def _():
    daemon = Daemon("fold-case")
    done = execute("tftpkd", "-f", CONF, netns="server")
    equal("status of a second one", 1, done.returncode)
    matches("what it says", "tftpkd: *another agent*\n", done.stderr)
    ctl("sync", "/dev/null")
    defer(restore)
    unload()
    equal("status", 0, daemon.process.wait(60))
    daemon.says("was unloaded")


def restore():
    load()
    # As module() and served() have it.
    ctl("sync", "-", stdin=f"set source-burst 0\nexport {SRV}\n")


@test("killed, stopped and started at any time: each client gets an answer", ("IPv4",))
def _(server):
    chance = random.Random(1)
    slow = script("slow", "sleep 0.$TFTPK_CLIENT_PORT; echo made")
    daemon = Daemon("command-timeout 5s", "fold-case", f"generate slow-* {slow}", resolve="all")
    for turn in range(ROUNDS):
        kind = None
        clients = [Client(server) for _ in range(4)]
        for number, client in enumerate(clients):
            client.request(("file", f"slow-{turn}-{number}", "BOOT/X64/wdsnbp.com", "missing")[number])
            time.sleep(chance.random() / 50)
            if number == turn % 4:
                kind = chance.choice((signal.SIGKILL, signal.SIGSTOP, signal.SIGTERM, signal.SIGHUP))
                daemon.process.send_signal(kind)
        for client in clients:
            answer = client.expect((Data, Error), 20)
            if isinstance(answer, Error):
                client.peer = None
            client.__exit__()
        daemon.process.send_signal(signal.SIGCONT)
        if kind in (signal.SIGKILL, signal.SIGTERM):
            daemon.process.wait(60)
            daemon.begin()


run(served())
