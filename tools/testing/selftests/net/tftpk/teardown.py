#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""The module goes whenever it is told to, and takes everything along: exports,
transfers that are running, slab caches, references to pages, to file systems and to
ports. The same of what is unexported, of listeners and of a namespace that goes.

At first with a client or two, then while 50 transfers are under way, TFTPK_ROUNDS
times each: nothing is left, no transfer, no object, no page, no reference. At the end
of a VM with the debug kernel that is searched for what leaked.
"""

import contextlib
import ctypes
import errno
import heapq
import itertools
import os
import random
import select
import socket
import struct
import threading
import time

from lib import (
    CLIENTS, DEBUG_KERNEL, SERVERS, SRV, Ack, Client, Code, Error, Growth, Op, ack, cached, command, ctl,
    defer, drop_caches, during, equal, error, fetch, gone, idle, ip, libc, load, loaded,
    loop_device, make, note, objects, request, run, same, test, topology, transfers, unload,
    wait_for,
)
from lib.agent import Inbox
from lib.upload import Upload

ROUNDS = int(os.environ.get("TFTPK_ROUNDS", "3"))
FILE = random.Random(1).randbytes(1_000_000)
DISK = SRV / "disk"
STAYS = make("stays/file", b"of a server that stays")
DEVICE = None
IP4, IP6 = SERVERS.values()


# ---- the server, and what it holds ----


@contextlib.contextmanager
def server_disk():
    global DEVICE  # pylint: disable=global-statement
    DISK.mkdir(mode=0o755)
    if loaded():
        command("rmmod", "tftpk")
    with topology(), loop_device(8, {"file": FILE, "small": FILE[:1000]}) as DEVICE:
        yield


def mount():
    if libc.mount(DEVICE.encode(), bytes(DISK), b"ext4", 0, None):
        raise OSError(ctypes.get_errno(), f"mount {DISK}")


def unmounted():
    """Unmount the disk, unless it is busy."""
    if not libc.umount2(bytes(DISK), 0):
        return True
    if ctypes.get_errno() != errno.EBUSY:
        raise OSError(ctypes.get_errno(), f"umount {DISK}")
    return False


def umount():
    equal("the disk can be unmounted", True, unmounted())


def serve(netns="server", listen=()):
    """Export the disk, from few ports: they are opened soon."""
    lines = ["set source-burst 0", "set port-range 20000-20015", f"export {DISK}"]
    lines += [f"listen {address}" for address in listen]
    ctl("sync", "-", netns=netns, stdin="\n".join(lines) + "\n")


def begin(listen=()):
    """The disk with nothing in the cache, and the module, for the test; then both
    can go.
    """
    gone()
    mount()
    defer(lambda: os.path.ismount(DISK) and umount())
    load()
    defer(lambda: loaded() and unload())
    serve(listen=listen)


def held_pages():
    """Of the file, that cannot be dropped. 6.1's drop_caches leaves what a processor
    keeps back for the LRU lists; advice has them drained.
    """
    drop_caches()
    with open(DISK / "file", "rb") as file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    return cached(DISK / "file")


def nothing_left():
    """RCU frees what clients had not read, and objects."""
    wait_for("all pages to go", lambda: not held_pages())
    wait_for("all objects to go", lambda: not objects())


# ---- with a client or two ----

WHOLE = (("blksize", 1428), ("windowsize", 64))


def running():
    """Clients of both families with a transfer each that is under way."""
    clients = [during(Client(server)) for server in SERVERS.values()]
    for client in clients:
        client.open("file", ("windowsize", 4))
        client.ack(0)
        client.blocks(1, 4)
    return clients


def told(*clients):
    """They are told that their transfer is over."""
    for client in clients:
        client.expect(Error, code=Code.UNDEFINED)
        client.peer = None


def unexport():
    ctl("unexport", DISK)


ENDS = [("the module goes", unload), ("unexport", unexport)]


@test("the file system is busy until {0}", (), ENDS)
def _(_, end):
    begin()
    with Client(IP4) as client:
        same(FILE[:1000], fetch(client, "small"))
    equal("the disk can be unmounted", False, unmounted())
    end()
    umount()


@test("pages are held during a transfer only", ())
def _():
    begin()
    with Client(IP4) as client:
        same(FILE, fetch(client, "file", *WHOLE))
    equal("pages in the cache", (len(FILE) + 4095) // 4096, cached(DISK / "file"))
    idle()
    equal("pages held after a transfer", 0, held_pages())
    clients = running()
    equal("pages are held during a transfer", True, held_pages() > 0)
    for client in clients:
        client.arrived()  # probes: to look took longer than clients are silent
    unload()
    told(*clients)
    equal("pages held by no module", 0, held_pages())


@test("transfers that are running end: {0}", (), ENDS)
def _(_, end):
    begin()
    clients = running()
    growth = Growth()
    growth.expect(transfers_failed=0, transfers_active=2)
    end()
    if loaded():
        growth.expect(transfers_failed=2, transfers_active=0)
    umount()
    told(*clients)


@test("unlisten ends its transfers, and no others", ())
def _():
    begin(SERVERS.values())
    four, six = running()
    growth = Growth()
    ctl("unlisten", IP6)
    growth.expect(transfers_failed=1, transfers_active=1)
    told(six)
    four.ack(4)
    four.blocks(5, 8)
    ctl("unlisten", IP4)
    growth.expect(transfers_failed=2, transfers_active=0)
    told(four)


# ---- 50 clients ----

N = 50
# A transfer is under way after so many windows, and goes on this often: on the debug
# kernel those that are would leave nothing to those that are not yet.
WINDOW = 2
GOING = 2 * WINDOW
PACE = 8 if DEBUG_KERNEL else 1.5


class Endless:
    """A client that fetches without an end, slowly once it is under way; whatever
    happens to it, it begins anew.
    """

    PATIENCE = 6

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
        self.last = self.swarm.request
        self.send()

    def close(self):
        self.swarm.going.discard(self)
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
        self.swarm.wake(self, 1 << self.tries)

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
                    self.swarm.going.discard(self)
                    self.tries = self.PATIENCE
                    self.swarm.wake(self, 0.2)
                    return
        if self.next == first:
            return
        self.tries = 0
        self.last = ack(self.next - 1)
        if self.next > self.swarm.blocks:
            self.send()
            self.swarm.completed += 1
            self.begin()
        elif self.next > GOING:
            self.swarm.going.add(self)
            self.swarm.wake(self, PACE)
        elif self.next % WINDOW == 1:
            self.send()


class Swarm(threading.Thread):
    """N clients, for the length of a with statement, half of them over IPv6. They are
    in this process and its network namespace.
    """

    def __init__(self, servers=tuple(SERVERS.values()), file="file", blocks=1 << 30):
        super().__init__()
        self.request = request(file, {"blksize": 1400, "windowsize": WINDOW})
        self.blocks = blocks
        self.servers = itertools.islice(itertools.cycle(servers), N)
        self.epoll = select.epoll()
        self.clients = {}  # by descriptor
        self.alarms = []
        self.alarm = {}  # the one that counts, by client
        self.number = itertools.count()
        self.running = threading.RLock()  # whoever takes it freezes all clients
        self.going = set()
        self.told = self.completed = 0
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
            Endless(self, server)
        while not self.stop:
            ready = self.epoll.poll(0.1)
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
        wait_for(f"{N} transfers to be under way", lambda: len(self.going) == N)

    def begin(self):
        """All of them anew: nobody told them that theirs is over."""
        with self.running:
            for client in list(self.clients.values()):
                client.begin()

    @contextlib.contextmanager
    def all_told(self):
        """What happens meanwhile, all of the clients are told by an ERROR."""
        self.told = 0
        yield
        wait_for(f"{N} ERRORs", lambda: self.told >= N)
        equal("ERRORs", N, self.told)


@test(f"what {N} transfers hold can be seen", ())
def _():
    begin()
    with Swarm() as swarm:
        swarm.under_way()
        with swarm.running:
            equal("pages are held", True, held_pages() > 0)
            equal("objects are there", True, objects() >= N)
            equal("transfers that are listed", N, len(transfers()))
            equal("the disk can be unmounted", False, unmounted())
    unexport()
    nothing_left()


def rounds():
    """ROUNDS times; many of them take hours, so tell how far they are."""
    for done in range(1, ROUNDS + 1):
        yield
        if done % 10 == 0:
            note(f"{done} rounds")


def under_fire(what):
    """Register what is to happen to N transfers, ROUNDS times."""

    def register(function):
        def body():
            begin()
            with Swarm() as swarm:
                for _ in rounds():
                    swarm.under_way()
                    function(swarm)
                swarm.under_way()
            idle()
            nothing_left()

        test(f"{N} transfers under way: {what}", ())(body)

    return register


@under_fire("the module is unloaded")
def _(swarm):
    with swarm.all_told():
        unload()
    load()
    serve()


@under_fire("the module is unloaded while the clients are frozen")
def _(swarm):
    with swarm.running:
        unload()
        load()
        serve()
        swarm.begin()


@under_fire("the folder is no longer exported, its disk unmounted")
def _(swarm):
    with swarm.all_told():
        unexport()
        umount()
    mount()
    ctl("export", DISK)


LISTENERS = itertools.cycle((("*",), tuple(SERVERS.values())))


@under_fire("the listeners go, others come")
def _(swarm):
    with swarm.all_told():
        serve(listen=next(LISTENERS))


def kill():
    for address in CLIENTS.values():
        ctl("kill", address)


@under_fire("they are killed")
def _(swarm):
    with swarm.all_told():
        kill()


# The address of IPv6 goes when the interface is down.
DOWN = ("link set to-client down",)
UP = ("link set to-client up", f"addr add {IP6}/64 dev to-client nodad")


@under_fire("the interface goes down, with the transfers or with the export")
def _(swarm):
    ip("server", *DOWN, *UP, *DOWN)
    unexport()
    ip("server", *UP)
    ctl("export", DISK)
    swarm.begin()


@under_fire("routes change, and lead nowhere")
def _(swarm):
    ip("server", *(f"route replace prohibit {address}" for address in CLIENTS.values()))
    kill()
    # Blocks that were negotiated before do not fit any more.
    ip("server", *(f"route replace {address} dev to-client mtu 1300" for address in CLIENTS.values()))
    swarm.begin()


PASSING = ("198.51.100.1", "2001:db8:1::1")
GUESTS = ("198.51.100.2", "2001:db8:1::2")


def passing():
    """A namespace of its own for guests of the client."""
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


@test(f"{N} transfers under way: their namespace is deleted, another stays", ())
def _():
    begin()
    unexport()
    ctl("export", SRV / "stays")
    for _ in rounds():
        passing()
        with Swarm(PASSING) as swarm:
            swarm.under_way()
            command("ip", "netns", "delete", "passing")
            # Namespaces are taken apart when it suits the kernel.
            wait_for("the disk to be free", unmounted)
        with Client(IP4) as client:
            same(STAYS, fetch(client, "file"))
        mount()
    idle()
    nothing_left()


# ---- uploads ----


def writing(servers):
    """N uploads under way, each with blocks that were not acknowledged yet."""
    for number, server in zip(range(N), itertools.cycle(servers)):
        one = Upload(during(Client(server)), FILE).ask(f"n{number}", ("blksize", 1400), ("windowsize", 8))
        one.begin()
        while one.acked < 16:
            one.flight(5, False)
        yield one


def last_word(one):
    """Acknowledged or not, it is told that it is over."""
    while isinstance(packet := one.client.receive(), Ack):
        pass
    equal("the end", (Error, Code.UNDEFINED), (type(packet), packet.code))
    one.client.peer = None


def unlisten():
    serve(listen=next(LISTENERS))


def delete():
    command("ip", "netns", "delete", "passing")


UPLOADS_END = {
    "the module is unloaded": unload,
    "the listeners go, others come": unlisten,
    "they are killed": kill,
    "their namespace is deleted": delete,
}


@test(f"{N} uploads under way: {{0}}", (), UPLOADS_END.items())
def _(_, end):
    begin()
    netns, servers = ("passing", PASSING) if end is delete else ("server", SERVERS.values())
    for _ in rounds():
        if end is delete:
            passing()
        ctl("set", "uploads", "on", netns=netns)
        # Their files are on the disk, which has to be free in the end.
        with Inbox(DISK, netns).attach():
            ones = list(writing(servers))
            for one in ones:
                one.send(one.acked + 1, one.acked + 5)
            end()
            for one in ones:
                if end is delete:
                    one.client.peer = None
                else:
                    last_word(one)
        if loaded():
            ctl("sync", "/dev/null")
        wait_for("the disk to be free", unmounted)
        mount()
        if not loaded():
            load()
        serve()
    idle()
    nothing_left()


@test(f"the module is unloaded while {N} clients keep asking", ())
def _():
    begin()
    with Swarm(file="small", blocks=1) as swarm:
        for _ in rounds():
            swarm.completed = 0
            wait_for("transfers to be completed", lambda: swarm.completed > N)
            unload()
            load()
            serve()


run(server_disk())
