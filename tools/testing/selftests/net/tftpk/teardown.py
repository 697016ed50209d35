#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""Ends of all kinds while 50 transfers are under way, see teardown.sh. The
clients are in this process and its network namespace, half of them over IPv6;
whatever happens to them, they begin anew.
"""

import contextlib
import ctypes
import errno
import heapq
import itertools
import os
import pathlib
import select
import socket
import struct
import threading
import time

from lab import command, ip, libc
from testbed import (
    CLIENTS,
    LOAD,
    SERVERS,
    SRV,
    ctl,
    drop_caches,
    equal,
    idle,
    note,
    run,
    tests,
    transfers,
    wait_for,
)
from tftp_packet import Code, Op, ack, error, request

ROUNDS = int(os.environ.get("TFTPK_ROUNDS", "10"))
LOOP = os.environ["TFTPK_LOOP"]
DISK = str(SRV / "disk")
N = 50
# A transfer is under way after so many windows, and goes on this often: nobody
# waits for a CPU.
WINDOW = 2
GOING = 2 * WINDOW
PACE = 1.5
# Few ports are opened soon.
CONFIG = f"set source-burst 0\nset port-range 20000-20015\nexport {DISK}\n"


def test(title):
    """Register a function as a test."""
    return lambda function: tests.append((title, function, ()))


# ---- clients ----


class Client:
    """Fetches without an end, slowly once it is under way."""

    RRQ = request("file", {"blksize": 1400, "windowsize": WINDOW})
    PATIENCE = 10

    def __init__(self, swarm, server):
        self.swarm = swarm
        self.server = (server, 69)
        self.socket = None
        self.begin()

    def begin(self):
        """From a new port, as if it were another client."""
        self.close()
        family = socket.AF_INET6 if ":" in self.server[0] else socket.AF_INET
        self.socket = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self.swarm.watch(self)
        self.peer = None
        self.next = 1
        self.tries = 0
        self.last = self.RRQ
        self.send()

    def close(self):
        if self.socket:
            self.swarm.forget(self)
            self.socket.close()

    def leave(self):
        """Have the server know, which would have to be told by ICMP."""
        self.last = error()
        self.send()
        self.close()

    def send(self):
        with contextlib.suppress(OSError):  # no route, for a moment
            self.socket.sendto(self.last, self.peer or self.server)
        self.swarm.wake(self, 1)

    def wake(self):
        """It is time to acknowledge what came, to ask again, or to begin anew."""
        self.tries += 1
        if self.tries > self.PATIENCE:
            self.begin()
        else:
            self.send()

    def receive(self):
        """Take all that is there. It is acknowledged at once, or at its pace."""
        first = self.next
        with contextlib.suppress(BlockingIOError):
            while True:
                packet, sender = self.socket.recvfrom(1 << 16)
                self.peer = self.peer or sender
                op, number = struct.unpack_from("!HH", packet)
                if op == Op.OACK:
                    self.last = ack(0)
                    self.send()
                elif op == Op.DATA and number == self.next & 0xFFFF:
                    self.next += 1
                elif op == Op.ERROR:
                    self.swarm.told += number == Code.UNDEFINED
                    self.tries = self.PATIENCE
                    self.swarm.wake(self, 0.2)
                    return
        if self.next == first:
            return
        self.tries = 0
        self.last = ack(self.next - 1)
        if self.next > GOING:
            self.swarm.going.add(self)
            self.swarm.wake(self, PACE)
        elif self.next % WINDOW == 1:
            self.send()


class Swarm(threading.Thread):
    """N clients, for the length of a with statement."""

    def __init__(self, servers=tuple(SERVERS.values())):
        super().__init__()
        self.servers = itertools.islice(itertools.cycle(servers), N)
        self.epoll = select.epoll()
        self.clients = {}  # by descriptor
        self.alarms = []
        self.alarm = {}  # the one that counts, by client
        self.number = itertools.count()
        self.running = threading.Lock()  # whoever takes it freezes all clients
        self.going = set()
        self.told = 0
        self.stop = False

    def watch(self, client):
        self.clients[client.socket.fileno()] = client
        self.epoll.register(client.socket, select.EPOLLIN)

    def forget(self, client):
        self.epoll.unregister(client.socket)
        del self.clients[client.socket.fileno()]

    def wake(self, client, seconds):
        """Then, and not when it was to be woken so far."""
        self.alarm[client] = (time.monotonic() + seconds, next(self.number), client)
        heapq.heappush(self.alarms, self.alarm[client])

    def run(self):
        for server in self.servers:
            Client(self, server)
        while not self.stop:
            ready = self.epoll.poll(0.05)
            with self.running:
                for descriptor, _ in ready:
                    if descriptor in self.clients:
                        self.clients[descriptor].receive()
                # What gets due meanwhile waits until packets were looked at.
                now = time.monotonic()
                while self.alarms[0][0] < now:
                    alarm = heapq.heappop(self.alarms)
                    if self.alarm[alarm[2]] is alarm:
                        alarm[2].wake()
        for client in list(self.clients.values()):
            client.leave()
        self.epoll.close()

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.stop = True
        self.join()

    def under_way(self):
        """Wait until all transfers are, from now on."""
        self.going.clear()
        wait_for(f"{N} transfers to be under way", lambda: len(self.going) == N)

    def begin(self):
        """All of them anew: nobody told them that theirs is over."""
        with self.running:
            for client in list(self.clients.values()):
                client.begin()

    @contextlib.contextmanager
    def all_told(self):
        """What happens meanwhile, the clients are told by an ERROR; but for those
        who are just beginning anew.
        """
        before = self.told
        yield
        wait_for(f"{N} ERRORs", lambda: self.told - before > N * 3 / 4)


# ---- the server, and what it holds ----


def mount():
    if libc.mount(LOOP.encode(), DISK.encode(), b"ext4", 0, None):
        raise OSError(ctypes.get_errno(), f"mount {DISK}")


def umount():
    if libc.umount2(DISK.encode(), 0):
        raise OSError(ctypes.get_errno(), f"umount {DISK}")


def unmounted():
    """Unmount the disk, unless it is busy."""
    try:
        umount()
    except OSError as reason:
        if reason.errno != errno.EBUSY:
            raise
        return False
    return True


def slab_objects():
    """Of the module. Those that are kept back, free, for a while go first."""
    for cache in pathlib.Path("/sys/kernel/slab").glob("tftpk_*"):
        (cache / "shrink").write_text("1", encoding="ascii")
    lines = pathlib.Path("/proc/slabinfo").read_text(encoding="ascii").splitlines()
    return [int(line.split()[1]) for line in lines if line.startswith("tftpk_")]


def unload():
    command("rmmod", "tftpk")
    equal("slab caches of the module", [], slab_objects())


def serve(netns="server", listen=()):
    listeners = "".join(f"listen {address}\n" for address in listen)
    command("tftpkctl", "-n", netns, "sync", "-", stdin=CONFIG + listeners)


def cached_pages():
    """Of the file, that cannot be dropped."""
    drop_caches()
    return int(command("fincore", "--noheadings", "--raw", "--output", "PAGES", f"{DISK}/file"))


@contextlib.contextmanager
def loaded():
    """The disk and the module, meanwhile; then they can go."""
    mount()
    command(*LOAD)
    try:
        yield
    except BaseException:
        # The next test finds what it wants in any case.
        with contextlib.suppress(AssertionError):
            command("rmmod", "tftpk")
        with contextlib.suppress(OSError):
            umount()
        raise
    unload()
    umount()


def nothing_left():
    idle()
    # RCU frees what clients had not read, and objects.
    wait_for("all pages to go", lambda: not cached_pages())
    wait_for("all objects to go", lambda: not sum(slab_objects()))


@test("what transfers hold can be seen")
def _():
    with loaded():
        serve()
        with Swarm() as swarm:
            swarm.under_way()
            with swarm.running:
                equal("pages are held", True, cached_pages() > 0)
                equal("objects are there", True, sum(slab_objects()) >= N)
                equal("transfers that are listed", N, len(transfers()))
                equal("the disk can be unmounted", False, unmounted())
        ctl("unexport", DISK)
        nothing_left()


# ---- ends ----


def rounds():
    """ROUNDS times; many of them take hours, so tell how far they are."""
    for done in range(1, ROUNDS + 1):
        yield
        if done % 10 == 0:
            note(f"{done} rounds")


def under_fire(title):
    """Register what is to happen to 50 transfers, ROUNDS times."""

    def register(function):
        def body():
            with loaded():
                serve()
                with Swarm() as swarm:
                    for _ in rounds():
                        swarm.under_way()
                        function(swarm)
                    swarm.under_way()
                nothing_left()
                ctl("unexport", DISK)

        tests.append((title, body, ()))

    return register


@under_fire("the module is unloaded")
def _(swarm):
    with swarm.all_told():
        unload()
    command(*LOAD)
    serve()


@under_fire("the module is unloaded while the clients are frozen")
def _(swarm):
    with swarm.running:
        unload()
        command(*LOAD)
        serve()
    swarm.begin()


@under_fire("the folder is no longer exported, its disk unmounted")
def _(swarm):
    with swarm.all_told():
        ctl("unexport", DISK)
        umount()
    mount()
    ctl("export", DISK)


LISTENERS = itertools.cycle((("*",), tuple(SERVERS.values())))


@under_fire("the listeners go, others come")
def _(swarm):
    with swarm.all_told():
        serve(listen=next(LISTENERS))


@under_fire("the transfers are killed")
def _(swarm):
    with swarm.all_told():
        for address in CLIENTS.values():
            ctl("kill", address)


# The address of IPv6 goes when the interface is down.
DOWN = ("link set to-client down",)
UP = ("link set to-client up", f"addr add {SERVERS['IPv6']}/64 dev to-client nodad")


@under_fire("the interface goes down, with the transfers or with the export")
def _(swarm):
    ip("server", *DOWN, *UP, *DOWN)
    ctl("unexport", DISK)
    ip("server", *UP)
    ctl("export", DISK)
    swarm.begin()


@under_fire("routes change, and lead nowhere")
def _(swarm):
    ip("server", *(f"route replace prohibit {address}" for address in CLIENTS.values()))
    for address in CLIENTS.values():
        ctl("kill", address)
    # Blocks that were negotiated before do not fit any more.
    ip("server", *(f"route replace {address} dev to-client mtu 1300" for address in CLIENTS.values()))
    swarm.begin()


PASSING = ("198.51.100.1", "2001:db8:1::1")
GUESTS = ("198.51.100.2", "2001:db8:1::2")


@test("the namespace is deleted")
def _():
    with loaded():
        for _ in rounds():
            command("ip", "netns", "add", "passing")
            ip(
                "client",
                "link add to-passing type veth peer name to-client netns passing",
                f"addr add {GUESTS[0]}/24 dev to-passing",
                f"addr add {GUESTS[1]}/64 dev to-passing nodad",
                "link set to-passing up",
            )
            ip(
                "passing",
                f"addr add {PASSING[0]}/24 dev to-client",
                f"addr add {PASSING[1]}/64 dev to-client nodad",
                "link set to-client up",
            )
            serve("passing")
            with Swarm(PASSING) as swarm:
                swarm.under_way()
                command("ip", "netns", "delete", "passing")
                # Namespaces are taken apart when it suits the kernel.
                wait_for("the disk to be free", unmounted)
            wait_for("all objects to go", lambda: not sum(slab_objects()))
            mount()
        wait_for("all pages to go", lambda: not cached_pages())


run()
