#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""Where requests come from and how answers get there: addresses, interfaces,
VRFs, NAT, ports, MTUs.

	server [to-client] ---- [to-server] client [to-far] ---- [to-client] far
	server [to-second] ---------------------------------- [to-server] second

The client's namespace is also the router, and the NAT, of "far"; "second" is
on another link of the server.
"""

import contextlib
import random
import socket
import struct

from lab import (
    Growth,
    between,
    command,
    content,
    family,
    fence,
    headers,
    inside,
    ip,
    listening,
    make,
    namespaces,
    nft,
    quiet,
    run,
    same,
    settings,
    sysctl,
    test,
)
from testbed import CLIENTS, SERVERS, equal, wait_for
from tftp_packet import Code, Error, Oack, Op, ack, request
from wire import Client, Transfer, fetch

FILE = make("file", content(200_000))
OTHER = make("other", content(60_000, 2))
WINDOW = (("blksize", 1024), ("windowsize", 8))

FAR = {"IPv4": "198.51.100.2", "IPv6": "2001:db8:f::2"}
ROUTER = {"IPv4": "198.51.100.1", "IPv6": "2001:db8:f::1"}
SECOND = {"IPv4": ("203.0.113.1", "203.0.113.2"), "IPv6": ("2001:db8:2::1", "2001:db8:2::2")}


def side_by_side(first, second):
    """Two clients fetch two files, some blocks each in turn."""
    one = Transfer(first, "file", *WINDOW)
    two = Transfer(second, "other", *WINDOW)
    for _ in range(5):
        one.step(8)
        two.step(8)
    same(FILE[:40960], b"".join(one.payloads))
    same(OTHER[:40960], b"".join(two.payloads))
    return one, two


def prefix(address, host=False):
    if ":" in address:
        return f"{address}/128" if host else f"{address}/64"
    return f"{address}/32" if host else f"{address}/24"


def links():
    """All that lib.sh's topology has not."""
    ip("client", "link add to-far type veth peer name to-client netns far")
    ip("server", "link add to-second type veth peer name to-server netns second")
    for name in ("IPv4", "IPv6"):
        nodad = "nodad" if name == "IPv6" else ""
        ip("client", f"addr add {prefix(ROUTER[name])} dev to-far {nodad}")
        ip("far", f"addr add {prefix(FAR[name])} dev to-client {nodad}")
        ip("server", f"addr add {prefix(SECOND[name][0])} dev to-second {nodad}")
        ip("second", f"addr add {prefix(SECOND[name][1])} dev to-server {nodad}")
    ip("client", "link set to-far up")
    ip("far", "link set to-client up")
    ip("server", "link set to-second up")
    ip("second", "link set to-server up")
    for name in ("IPv4", "IPv6"):
        ip("far", f"route add default via {ROUTER[name]}")
        ip("server", f"route add {prefix(FAR[name], True)} via {CLIENTS[name]}")
        ip("second", f"route add default via {SECOND[name][0]}")
    sysctl("client", "ipv4/ip_forward", 1)
    sysctl("client", "ipv6/conf/all/forwarding", 1)


# ---- MTU ----


def mtus(mtu, *ends):
    for netns, device in ends:
        ip(netns, f"link set {device} mtu {mtu}")


def ipv6_again():
    """What an MTU below IPv6's least has taken away."""
    here, there = SERVERS["IPv6"], CLIENTS["IPv6"]
    for netns, device, own in (("server", "to-client", here), ("client", "to-server", there)):
        ip(netns, f"addr replace {prefix(own)} dev {device} nodad")
    ip("server", f"route replace {prefix(FAR['IPv6'], True)} via {there}")


NEAR = (("server", "to-client"), ("client", "to-server"))
IP_RECVFRAGSIZE, IPV6_RECVFRAGSIZE = 25, 77


class Sizes(Client):
    """Knows in what fragments packets came."""

    def __init__(self, server, **more):
        super().__init__(server, **more)
        self.largest = 0  # fragment, 0 where none came
        if self.family == socket.AF_INET6:
            self.socket.setsockopt(socket.IPPROTO_IPV6, IPV6_RECVFRAGSIZE, 1)
        else:
            self.socket.setsockopt(socket.IPPROTO_IP, IP_RECVFRAGSIZE, 1)

    def told(self, level, kind, value):
        if (level, kind) in (
            (socket.IPPROTO_IP, IP_RECVFRAGSIZE),
            (socket.IPPROTO_IPV6, IPV6_RECVFRAGSIZE),
        ):
            self.largest = max(self.largest, struct.unpack("=i", value[:4])[0])


def sized(server, *options, name="file", wanted=FILE, netns=None):
    """Fetch a file; returns what blksize was granted, and the largest fragment."""
    with inside(netns):
        client = Sizes(server)
    with client:
        transfer = Transfer(client, name, *options)
        same(wanted, transfer.finish())
        return transfer.blksize, client.largest


@test("MTU {0}: the block size is what fits a packet", ["IPv4"], [1200, 1500, 9000])
@test("MTU {0}: the block size is what fits a packet", ["IPv6"], [1280, 1500, 9000])
def _(server, mtu):
    mtus(mtu, *NEAR)
    try:
        fits = mtu - headers(server)
        growth = Growth()
        for asked in (fits - 1, fits, fits + 1, 65464):
            for windowsize in (1, 8):
                got = sized(server, ("blksize", asked), ("windowsize", windowsize))
                equal(f"block size for {asked}, fragments", (min(asked, fits), 0), got)
        equal("bytes copied", 0, growth["bytes_copied"])
    finally:
        mtus(1500, *NEAR)
        if mtu < 1280:
            ipv6_again()


@test("the MTU is that of the route to the client")
def _(server):
    other = {"IPv4": "192.0.2.22", "IPv6": "2001:db8::22"}[family(server)]
    host = prefix(other, True)
    ip("client", f"addr add {host} dev to-server" + (" nodad" if ":" in other else ""))
    ip("server", f"route add {host} dev to-client mtu 1300")
    try:
        with Client(server, source=other) as client:
            equal("there", str(1300 - headers(server)), client.open("file", ("blksize", 4096))["blksize"])
        with Client(server, source=CLIENTS[family(server)]) as client:
            equal("here", str(1500 - headers(server)), client.open("file", ("blksize", 4096))["blksize"])
    finally:
        ip("server", f"route del {host} dev to-client")
        ip("client", f"addr del {host} dev to-server")


@test("clamp-mtu off: blocks of {0} bytes go out in fragments", cases=[1473, 4096, 16384, 65464])
def _(server, size):
    make("large", content(500_000, 3))
    with settings(clamp_mtu=False):
        for windowsize in (1, 4):
            growth = Growth()
            options = (("blksize", size), ("windowsize", windowsize))
            granted, fragment = sized(server, *options, name="large", wanted=content(500_000, 3))
            equal("block size", size, granted)
            between("largest fragment", 1400, fragment, 1500)
            equal("bytes copied", growth["bytes_sent"], growth["bytes_copied"])
        # What fits is neither fragmented nor copied.
        growth = Growth()
        equal("block size, fragments", (1400, 0), sized(server, ("blksize", 1400)))
        equal("bytes copied", 0, growth["bytes_copied"])


@test("a path MTU that shrinks during a transfer")
def _(server):
    narrow = (("client", "to-far"), ("far", "to-client"))
    with inside("far"):
        client = Sizes(server)
    try:
        with client:
            transfer = Transfer(client, "file", ("blksize", 1400), ("windowsize", 8))
            transfer.step(16)
            transfer.lossy = True
            equal("fragments", 0, client.largest)
            mtus(1280, *narrow)
            same(FILE, transfer.finish())
            between("largest fragment", 1000, client.largest, 1280)
        # Whoever comes next gets blocks that fit.
        fits = 1280 - headers(server)
        got = sized(server, ("blksize", 1400), ("windowsize", 8), netns="far")
        equal("block size, fragments", (fits, 0), got)
    finally:
        mtus(1500, *narrow)
        command("ip", "-n", "server", "route", "flush", "cache")
        command("ip", "-n", "server", "-6", "route", "flush", "cache")


# ---- addresses and interfaces ----


@contextlib.contextmanager
def address(netns, device, *addresses):
    nodad = [f"{prefix(a, True)} dev {device}" + (" nodad" if ":" in a else "") for a in addresses]
    ip(netns, *(f"addr add {words}" for words in nodad))
    try:
        yield
    finally:
        ip(netns, *(f"addr del {words.removesuffix(' nodad')}" for words in nodad))


@test("the answer comes from the address that was asked: an alias")
def _(server):
    aliases = {
        "IPv4": ("192.0.2.11", "192.0.2.12"),
        "IPv6": ("2001:db8::11", "2001:db8::12"),
    }[family(server)]
    with address("server", "to-client", *aliases):
        for where in (*aliases, server):
            with Client(where) as client:
                same(FILE, fetch(client, "file", *WINDOW))
                equal("from", where, client.peer[0])
            with Client(where) as client:
                client.request("nothing")
                client.expect(Error, code=Code.NOT_FOUND)
                equal("ERROR from", where, client.sender[0])


@test("the answer comes from the address that was asked: a VIP on the loopback")
def _(server):
    vip = {"IPv4": "192.88.99.1", "IPv6": "2001:db8:99::1"}[family(server)]
    with address("server", "lo", vip):
        ip("client", f"route add {prefix(vip, True)} via {server}")
        try:
            for netns in (None, "far"):
                with inside(netns), Client(vip) as client:
                    same(FILE, fetch(client, "file", *WINDOW))
                    equal("from", vip, client.peer[0])
        finally:
            ip("client", f"route del {prefix(vip, True)} via {server}")


@test("two links, both ways at once")
def _(server):
    other = SECOND[family(server)][0]
    with inside("second"):
        second = Client(other, source_port=4000)
    with second, Client(server, source_port=4000) as first:
        side_by_side(first, second)
        equal("from", other, second.peer[0])
    # The address of one link, asked from the other.
    with inside("second"), Client(server) as client:
        same(OTHER, fetch(client, "other", *WINDOW))
        equal("from", server, client.peer[0])


@test("the way back is the routing table's, not the way the request came")
def _(server):
    name = family(server)
    target = SECOND[name][0]
    # The request goes by the first link; the answer to that source leaves by
    # the second, whose namespace hands it over.
    vip = {"IPv4": "192.88.99.2", "IPv6": "2001:db8:99::2"}[name]
    ip(
        "second",
        "link add across type veth peer name across netns client",
        "link set across addrgenmode none",
        "addr add fe80::a/64 dev across nodad",
        "link set across up",
    )
    ip("client", "link set across up")
    sysctl("second", "ipv4/ip_forward", 1)
    sysctl("second", "ipv6/conf/all/forwarding", 1)
    host = prefix(vip, True)
    try:
        with address("client", "across", vip):
            ip("second", f"route add {host} dev across")
            ip("server", f"route add {host} via {SECOND[name][1]}")
            ip("client", f"route add {prefix(target, True)} via {server}")
            before = Growth()
            with Client(target, source=vip) as client:
                same(OTHER, fetch(client, "other", *WINDOW))
                equal("from", target, client.peer[0])
            before.expect(transfers_completed=1, transfers_active=0)
    finally:
        ip("server", f"route del {host} via {SECOND[name][1]}")
        ip("client", f"route del {prefix(target, True)} via {server}")
        ip("second", "link del across")


@test("link-local addresses: the scope tells two links apart", ["IPv6"])
def _(_):
    ip("server", "addr add fe80::1/64 dev to-client nodad", "addr add fe80::1/64 dev to-second nodad")
    ip("client", "addr add fe80::2/64 dev to-server nodad")
    ip("second", "addr add fe80::2/64 dev to-server nodad")
    first = Client("fe80::1%to-server", source="fe80::2%to-server", source_port=4001)
    with inside("second"):
        second = Client("fe80::1%to-server", source="fe80::2%to-server", source_port=4001)
    with first, second:
        side_by_side(first, second)
        # A refusal has to find the link as well.
        with Client("fe80::1%to-server", source="fe80::2%to-server") as client:
            client.request("nothing")
            client.expect(Error, code=Code.NOT_FOUND)
    # Of its link only.
    with listening("fe80::1 dev to-second"):
        with inside("second"), Client("fe80::1%to-server") as client:
            same(OTHER, fetch(client, "other", *WINDOW))
        with Client("fe80::1%to-server") as client:
            client.request("other")
            client.expect_silence(0.5)


@test("a listener of one interface hears that one only")
def _(server):
    with listening("* dev to-second"):
        with inside("second"), Client(SECOND[family(server)][0]) as client:
            same(OTHER, fetch(client, "other", *WINDOW))
        with Client(server) as client:
            client.request("other")
            client.expect_silence(0.5)
    with Client(server) as client:
        same(OTHER, fetch(client, "other", *WINDOW))


@test("a listener of one address and port, which need not exist yet")
def _(server):
    late = {"IPv4": "192.0.2.33", "IPv6": "2001:db8::33"}[family(server)]
    where = f"[{late}]:6969" if ":" in late else f"{late}:6969"
    with listening(where):
        with address("server", "to-client", late):
            with Client(late, port=6969) as client:
                same(OTHER, fetch(client, "other", *WINDOW))
            for closed in ((late, 69), (server, 6969)):
                with Client(closed[0], port=closed[1]) as client:
                    client.request("other")
                    client.expect_silence(0.3)


# ---- VRF ----


@test("a VRF whose addresses are those of the main table")
def _(server):
    name = family(server)
    theirs = CLIENTS[name]
    nodad = "nodad" if name == "IPv6" else ""
    with namespaces("blue"):
        ip(
            "server",
            "link add blue type vrf table 10",
            "link set blue up",
            "link add to-blue type veth peer name to-server netns blue",
            "link set to-blue master blue",
            "link set to-blue up",
        )
        ip("blue", "link set to-server up", f"addr add {prefix(theirs)} dev to-server {nodad}")
        ip("server", f"addr add {prefix(server)} dev to-blue {nodad}")
        try:
            with inside("blue"):
                client = Client(server)
            # Without a listener of the VRF nobody hears it.
            with client:
                client.request("other")
                client.expect_silence(0.5)
            with listening("* dev blue"):
                with inside("blue"), Client(server, source_port=4002) as client:
                    same(FILE, fetch(client, "file", *WINDOW))
                    equal("from", server, client.peer[0])
                    client.request("nothing")
                    client.peer = None
                    while not isinstance(client.receive(), Error):
                        pass
                with Client(server, source_port=4002) as client:
                    client.request("other")
                    client.expect_silence(0.5)
            # Both tables at once, by their addresses' interfaces.
            with listening("* dev blue", "* dev to-client"):
                with inside("blue"):
                    client = Client(server, source_port=4003)
                with client, Client(server, source_port=4003) as main:
                    side_by_side(client, main)
        finally:
            ip("server", "link del to-blue", "link del blue")


# ---- to many ----


def to_many(where, **more):
    """A client that asks everybody on the link."""
    client = Client(where, **more)
    client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
    return client


@test("requests to a broadcast address: ignored, or answered if told to", ["IPv4"])
def _(server):
    addresses = ("192.0.2.255", "255.255.255.255")
    for where in addresses:
        growth = Growth()
        with to_many(where, device="to-server") as client:
            client.request("other")
            quiet(client)
            client.send(request("other", WINDOW), client.listener)
            quiet(client)
        growth.expect(requests_dropped=2, transfers_started=0)
    with listening("* --broadcast"):
        for where in addresses:
            with to_many(where, device="to-server") as client:
                same(OTHER, fetch(client, "other", *WINDOW))
                equal("from", server, client.peer[0])
                client.request("nothing")
                client.peer = None
                while not isinstance(client.receive(), Error):
                    pass
                equal("ERROR from", server, client.sender[0])
        # As ever to those who ask one.
        with Client(server) as client:
            same(OTHER, fetch(client, "other", *WINDOW))


@test("requests to a multicast address are ignored", ["IPv6"])
def _(_):
    for where in ("ff02::1%to-server", "ff02::2%to-server"):
        with Client(where) as client:
            client.request("other")
            quiet(client)


# ---- one port ----


@test("single-port: all comes from the port that was asked")
def _(server):
    where = f"[{server}]:6970" if ":" in server else f"{server}:6970"
    with listening("* --single-port", f"{where} --single-port"):
        for port in (69, 6970):
            with Client(server, port=port) as client, Client(server, port=port) as other:
                one = Transfer(client, "file", *WINDOW)
                two = Transfer(other, "other", *WINDOW)
                same(FILE, one.finish())
                same(OTHER, two.finish())
                equal("ports", (port, port), (client.peer[1], other.peer[1]))
                # Without options, and the next file from the same port.
                same(OTHER, fetch(other, "other"))
                client.request("nothing")
                # A block that was repeated may come to the same port before it.
                equal("code", Code.NOT_FOUND, client.wait_for(Error).code)


@test("single-port: strangers, repeated and other requests")
def _(server):
    with listening("* --single-port"):
        growth = Growth()
        with Client(server) as client, Client(server) as stranger:
            for _ in range(3):
                client.send(request("file", WINDOW), client.listener)
            client.expect(Oack)
            stranger.send(ack(0))
            stranger.expect(Error, code=Code.TID)
            stranger.peer = None
            fence()
            client.discard()
            # Another one takes the place of what has proved nothing.
            oack = client.open("other", *WINDOW, ("tsize", 0))
            equal("tsize", str(len(OTHER)), oack["tsize"])
            growth.expect(transfers_started=2, transfers_aborted=1)
            client.ack(0)
            same(OTHER[:8192], client.blocks(1, 8))
            client.ack(8)
            client.blocks(9, 16)
            growth.expect(transfers_started=2, requests_repeated=2, packets_strange=1)
            # But not of what gets on.
            client.send(request("file", WINDOW), client.listener)
            client.send(request("other", op=Op.WRQ), client.listener)
            growth.expect(requests_dropped=1, writes_refused=1, transfers_aborted=1)
            client.ack(16)
            same(OTHER[16384:24576], client.blocks(17, 24))


@test("single-port: a client that begins anew at once is served within two retries")
def _(server):
    with listening("* --single-port"):
        growth = Growth()
        with Client(server) as client:
            Transfer(client, "file", *WINDOW).step(16)
            equal("tsize", str(len(OTHER)), client.insist("other", *WINDOW)["tsize"])
            client.ack(0)
            while client.skip_to(1) != OTHER[:1024]:
                pass
            same(OTHER[1024:8192], client.blocks(2, 8))
            growth.expect(transfers_started=2, transfers_aborted=1)


NAT = """
table {family} nat {{
	{helper}
	chain post {{
		type nat hook postrouting priority srcnat;
		oifname "to-server" masquerade
	}}
}}
"""
HELPER = """
	ct helper tftp {
		type "tftp" protocol udp
	}
	chain pre {
		type filter hook prerouting priority 0;
		udp dport 69 ct helper set "tftp"
	}
"""


@contextlib.contextmanager
def nat(server, helper=""):
    """What goes from "far" to the server seems to come from the client."""
    table = "ip6" if ":" in server else "ip"
    nft("client", NAT.format(family=table, helper=helper))
    try:
        yield
    finally:
        nft("client", f"delete table {table} nat\n")


def behind_nat(server, port):
    """Two clients behind the NAT, from one port of theirs, are served at one
    time. The NAT remembers that port for a while.
    """
    other = {"IPv4": "198.51.100.3", "IPv6": "2001:db8:f::3"}[family(server)]
    with address("far", "to-client", other):
        with inside("far"):
            first = Client(server, source=FAR[family(server)], source_port=port)
            second = Client(server, source=other, source_port=port)
        with first, second:
            one, two = side_by_side(first, second)
            same(OTHER, two.finish())
            same(FILE, one.finish())


@test("NAT, a port for each transfer: nothing gets through")
def _(server):
    """What the next two tests are about: without their remedy it fails."""
    with nat(server), inside("far"), Client(server) as client:
        growth = Growth()
        client.request("other", WINDOW)
        growth.expect(clients_unreachable=1, transfers_active=0)
        equal("packet", None, client.poll(0.2))


@test("NAT, single-port: works")
def _(server):
    with listening("* --single-port"), nat(server):
        behind_nat(server, 4004)


@test("NAT, a port for each transfer and nf_conntrack_tftp: works")
def _(server):
    with nat(server, HELPER):
        behind_nat(server, 4005)


@test("port-range: transfers have these ports and no others")
def _(server):
    low = random.randrange(20000, 30000)
    wanted = set(range(low, low + 4))
    with settings(port_range=f"{low}-{low + 3}"):
        got = set()
        for _ in range(60):
            with Client(server) as client:
                client.open("file", *WINDOW)
                got.add(client.peer[1])
        equal("ports", wanted, got)
        # As many transfers of one client as there are clients' ports.
        with contextlib.ExitStack() as stack:
            transfers = [
                Transfer(stack.enter_context(Client(server)), "file", *WINDOW) for _ in range(20)
            ]
            for transfer in transfers:
                transfer.step(8)
            for transfer in transfers:
                same(FILE[:8192], b"".join(transfer.payloads))
    with settings(port_range=f"{low}-{low}"):
        with Client(server) as first, Client(server) as second:
            one, two = Transfer(first, "file", *WINDOW), Transfer(second, "other", *WINDOW)
            same(FILE, one.finish())
            same(OTHER, two.finish())
            equal("ports", {low}, {first.peer[1], second.peer[1]})


@test("port-range: a change ends what is running by an ERROR, and only that")
def _(server):
    with Client(server) as client:
        transfer = Transfer(client, "file", *WINDOW)
        transfer.step(8)
        with settings(port_range="30100-30110"):
            while not isinstance(packet := client.receive(), Error):
                pass
            equal("code", Code.UNDEFINED, packet.code)
            client.peer = None
            same(FILE, fetch(client, "file", *WINDOW))
            between("port", 30100, client.peer[1], 30110)
    with Client(server) as client:
        same(FILE, fetch(client, "file", *WINDOW))


if __name__ == "__main__":
    with namespaces("far", "second"):
        links()
        # Neighbours are found out before anything is measured.
        for each in SERVERS.values():
            wait_for(f"{each} answers", lambda each=each: fence(each) is None)
        with settings(source_burst=0):
            run()
