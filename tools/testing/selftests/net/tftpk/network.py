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
import time

from lib import (
    CLIENTS, FAR, SERVERS, Client, Code, Error, Growth, Oack, Op, Transfer, ack, between, command,
    content, ctl, defer, during, equal, execute, family, fence, fetch, headers, inside, ip, listening, mac,
    make, namespaces, netem, nft, quiet, reach, request, routed, run, same, served, settings,
    shows, sysctl, test, told, wait_for,
)

FILE = make("file", content(200_000))
OTHER = make("other", content(60_000, 2))
LARGE = make("large", content(500_000, 3))
WINDOW = (("blksize", 1024), ("windowsize", 8))

SECOND = {"IPv4": ("203.0.113.1", "203.0.113.2"), "IPv6": ("2001:db8:2::1", "2001:db8:2::2")}


def at(netns, server, **more):
    """A client there."""
    with inside(netns):
        return Client(server, **more)


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


def served_from(client, where):
    """A file and an ERROR come from that address."""
    with client:
        same(OTHER, fetch(client, "other", *WINDOW))
        equal("from", where, client.peer[0])
        refused(client, where)


def refused(client, where):
    client.request("nothing")
    client.expect(Error, code=Code.NOT_FOUND)
    equal("ERROR from", where, client.peer[0])
    client.peer = None


def unheard(deaf, heard):
    """What the first client asks is not heard, what the second asks then is."""
    growth = Growth()
    with deaf, heard:
        deaf.request("other")
        same(OTHER, fetch(heard, "other", *WINDOW))
        growth.expect(requests=1)
        deaf.expect_silence(0)


def prefix(address, host=False):
    if ":" in address:
        return f"{address}/128" if host else f"{address}/64"
    return f"{address}/32" if host else f"{address}/24"


def of(device, address, host=False):
    """Words for `ip addr`."""
    return f"{prefix(address, host)} dev {device}" + " nodad" * (":" in address)


@contextlib.contextmanager
def address(netns, device, *addresses):
    """One more address of a device, meanwhile."""
    ip(netns, *(f"addr add {of(device, each, True)}" for each in addresses))
    try:
        yield
    finally:
        ip(netns, *(f"addr del {prefix(each, True)} dev {device}" for each in addresses))


def route(netns, words):
    """One more route, until the test is over."""
    ip(netns, f"route add {words}")
    defer(ip, netns, f"route del {words}")


@contextlib.contextmanager
def second_link():
    """The other link of the server."""
    with namespaces("second"):
        ip("server", "link add to-second type veth peer name to-server netns second")
        for end, netns, device in ((0, "server", "to-second"), (1, "second", "to-server")):
            ip(netns, *(f"addr add {of(device, ends[end])}" for ends in SECOND.values()))
            ip(netns, f"link set {device} up")
        for there, _ in SECOND.values():
            ip("second", f"route add default via {there}")
            reach(there, "second")
        yield


# ---- MTU ----

NEAR = (("server", "to-client"), ("client", "to-server"))
IP_RECVFRAGSIZE, IPV6_RECVFRAGSIZE = 25, 77


def mtus(mtu, *ends):
    """The MTU of these devices, until the test is over."""
    if mtu < 1280:
        defer(ipv6_again)
    for netns, device in ends:
        ip(netns, f"link set {device} mtu {mtu}")
        defer(ip, netns, f"link set {device} mtu 1500")


def ipv6_again():
    """What an MTU below IPv6's least has taken away."""
    here, there = SERVERS["IPv6"], CLIENTS["IPv6"]
    ip("server", f"addr replace {of('to-client', here)}", f"route replace {FAR['IPv6']} via {there}")
    ip("client", f"addr replace {of('to-server', there)}")


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
    fits = mtu - headers(server)
    growth = Growth()
    for asked in (fits - 1, fits, fits + 1, 65464):
        for windowsize in (1, 8):
            got = sized(server, ("blksize", asked), ("windowsize", windowsize))
            equal(f"block size for {asked}, fragments", (min(asked, fits), 0), got)
    equal("bytes copied", 0, growth["bytes_copied"])


@test("the MTU is that of the route to the client")
def _(server):
    other = {"IPv4": "192.0.2.22", "IPv6": "2001:db8::22"}[family(server)]
    during(address("client", "to-server", other))
    route("server", f"{other} dev to-client mtu 1300")
    for source, mtu in ((other, 1300), (CLIENTS[family(server)], 1500)):
        with Client(server, source=source) as client:
            oack = client.open("file", ("blksize", 4096))
            equal(f"block size for {source}", str(mtu - headers(server)), oack["blksize"])


@test("clamp-mtu off: blocks of {0} bytes go out in fragments", cases=[1473, 4096, 16384, 65464])
def _(server, size):
    during(settings(clamp_mtu=False))
    for windowsize in (1, 4):
        growth = Growth()
        options = (("blksize", size), ("windowsize", windowsize))
        granted, fragment = sized(server, *options, name="large", wanted=LARGE)
        equal("block size", size, granted)
        between("largest fragment", 1400, fragment, 1500)
        equal("bytes copied", growth["bytes_sent"], growth["bytes_copied"])
    # What fits is neither fragmented nor copied.
    growth = Growth()
    equal("block size, fragments", (1400, 0), sized(server, ("blksize", 1400)))
    equal("bytes copied", 0, growth["bytes_copied"])


@test("a path MTU that shrinks during a transfer", timed=True)
def _(server):
    defer(command, "ip", "-n", "server", "route", "flush", "cache")
    defer(command, "ip", "-n", "server", "-6", "route", "flush", "cache")
    with inside("far"):
        client = Sizes(server)
    during(settings(discover_mtu=True))
    with client:
        transfer = Transfer(client, "file", ("blksize", 1400), ("windowsize", 8))
        transfer.step(23)
        mtus(1280, ("client", "to-far"), ("far", "to-client"))
        transfer.step()
        equal("fragments", 0, client.largest)
        # The next window does not get through; the probe of its end does.
        client.block(32)
        client.ack(24)
        same(FILE, transfer.finish())
        between("largest fragment", 1000, client.largest, 1280)
    # Whoever comes next gets blocks that fit.
    got = sized(server, ("blksize", 1400), ("windowsize", 8), netns="far")
    equal("block size, fragments", (1280 - headers(server), 0), got)


@test("a path MTU that shrinks during a transfer: without discover-mtu the router cuts", ["IPv4"])
def _(server):
    with inside("far"):
        client = Sizes(server)
    with client:
        transfer = Transfer(client, "file", ("blksize", 1400), ("windowsize", 8))
        transfer.step(24)
        equal("fragments", 0, client.largest)
        mtus(1280, ("client", "to-far"), ("far", "to-client"))
        same(FILE, transfer.finish())
        between("largest fragment", 1000, client.largest, 1280)


# ---- DF and identifications ----

IP_DF, IP_OFFSET = 0x4000, 0x1FFF
SO_RCVBUFFORCE = 33
IP_HEADER = struct.Struct("!BBHHHBBH4s4s")


class Headers:
    """IPv4 headers of what the server sends to the client, as (identification, flags
    and offset, length).
    """

    def __init__(self, server, device="to-server"):
        self.server = socket.inet_aton(server)
        self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(0x0800))
        self.socket.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 1 << 24)
        self.socket.bind((device, 0x0800))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def taken(self):
        """Those that have come."""
        fence()
        got = []
        self.socket.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while True:
                packet = self.socket.recv(IP_HEADER.size)
                _, _, length, ident, fragment, _, protocol, _, source, _ = IP_HEADER.unpack(packet)
                if source == self.server and protocol == socket.IPPROTO_UDP:
                    got.append((ident, fragment, length))
        return got


@contextlib.contextmanager
def unsegmented():
    """Trains are cut apart before they leave, so that each packet is seen."""
    command("ethtool", "-K", "to-client", "tx-udp-segmentation", "off", netns="server")
    try:
        yield
    finally:
        command("ethtool", "-K", "to-client", "tx-udp-segmentation", "on", netns="server")


def of_all_kinds(server):
    """OACKs, ERRORs and DATA: headers of all."""
    with Headers(server) as headers_seen, Client(server) as client:
        same(OTHER, fetch(client, "other"))
        same(OTHER, fetch(client, "other", ("blksize", 1024), ("windowsize", 16)))
        same(OTHER, fetch(client, "other", ("windowsize", 4), mode="netascii").replace(b"\r\n", b"\n").replace(b"\r\0", b"\r"))
        with settings(zerocopy=False):
            same(OTHER, fetch(client, "other", ("blksize", 1400)))
        refused(client, server)
        return headers_seen.taken()


@test("DF is not set: some boot ROMs drop such packets", ["IPv4"])
def _(server):
    during(unsegmented())
    got = of_all_kinds(server)
    between("packets", 200, len(got), 1000)
    equal("flags", {0}, {fragment for _, fragment, _ in got})


@test("DF is set where discover-mtu, ip_no_pmtu_disc and the route's MTU want it", ["IPv4"])
def _(server):
    during(unsegmented())
    during(settings(discover_mtu=True))
    equal("flags", {IP_DF}, {fragment for _, fragment, _ in of_all_kinds(server)})
    sysctl("server", "ipv4/ip_no_pmtu_disc", 1)
    defer(sysctl, "server", "ipv4/ip_no_pmtu_disc", 0)
    equal("flags with ip_no_pmtu_disc", {0}, {fragment for _, fragment, _ in of_all_kinds(server)})
    sysctl("server", "ipv4/ip_no_pmtu_disc", 0)
    route("server", f"{CLIENTS['IPv4']} dev to-client mtu lock 1500")
    equal("flags with a locked MTU", {0}, {fragment for _, fragment, _ in of_all_kinds(server)})


@test("without DF identifications count, in trains as well", ["IPv4"])
def _(server):
    during(unsegmented())
    with Headers(server) as seen, Client(server) as client:
        transfer = Transfer(client, "large", ("blksize", 512), ("windowsize", 64))
        same(LARGE, transfer.finish())
        got = [ident for ident, _, length in seen.taken() if length == 20 + 8 + 4 + 512]
        between("packets", 970, len(got), 980)
        equal("steps", {1}, {after - before & 0xFFFF for before, after in zip(got, got[1:])})
    # Another transfer begins elsewhere.
    firsts = set()
    for _ in range(8):
        with Headers(server) as seen, Client(server) as client:
            client.open("large", ("blksize", 512))
            firsts.add(seen.taken()[0][0])
    between("first identifications", 7, len(firsts), 8)


@test("what is cut here has an identification of its own", ["IPv4"])
def _(server):
    during(settings(clamp_mtu=False))
    with Headers(server) as seen, Client(server) as client:
        transfer = Transfer(client, "large", ("blksize", 4096), ("windowsize", 4))
        same(LARGE, transfer.finish())
        got = [(ident, fragment) for ident, fragment, _ in seen.taken() if fragment]
    equal("DF", 0, max(fragment & IP_DF for _, fragment in got))
    parts = {}
    for ident, fragment in got:
        parts.setdefault(ident, []).append(fragment & IP_OFFSET)
    equal("offsets", {(0, 185, 370)}, {tuple(sorted(offsets)) for offsets in parts.values()})


# ---- clients that answer no ARP ----


MUTE = """
table {table} mute {{
	chain out {{
		type filter hook output priority 0;
		{match} drop
	}}
}}
"""


def mute_neighbours(server):
    """From now on the client tells nobody where it is; the server asks often."""
    kind, other = ("ipv6", CLIENTS["IPv6"]) if ":" in server else ("ipv4", CLIENTS["IPv4"])
    for key, value in (("base_reachable_time_ms", 1000), ("delay_first_probe_time", 1), ("retrans_time_ms", 100)):
        path = f"{kind}/neigh/to-client/{key}"
        with inside("server"), open(f"/proc/sys/net/{path}", encoding="ascii") as file:
            defer(sysctl, "server", path, file.read().strip())
        sysctl("server", path, value)
    ip("client", f"neigh replace {server} lladdr {mac('server', 'to-client').hex(':')} dev to-server nud permanent")
    defer(ip, "client", f"neigh del {server} dev to-server")
    match = "icmpv6 type { nd-neighbor-advert, nd-neighbor-solicit }" if ":" in server else ""
    table = "ip6" if ":" in server else "arp"
    nft("client", MUTE.format(table=table, match=match))
    defer(nft, "client", f"delete table {table} mute\n")
    return other


def neighbour(other):
    return command("ip", "-n", "server", "neigh", "show", other)


@test("a client that answers no ARP while it loads", timed=True)
def _(server):
    reach(server, None)
    other = mute_neighbours(server)
    found = f"neigh replace {other} lladdr {mac('client', 'to-server').hex(':')} dev to-client nud reachable"
    # Anew, for its timer has been set already.
    ip("server", f"neigh del {other} dev to-client", found)
    defer(ip, "server", f"neigh del {other} dev to-client")
    # Without anything that confirms it the server forgets where it is.
    with inside("server"), socket.socket(socket.AF_INET6 if ":" in other else socket.AF_INET, socket.SOCK_DGRAM) as plain:
        for _ in range(40):
            with contextlib.suppress(OSError):
                plain.sendto(b"", (other, 9))
            time.sleep(0.2)
    assert "lladdr" not in neighbour(other), neighbour(other)
    ip("server", found)
    growth = Growth()
    with Client(server) as client:
        # It is so slow that it is asked again.
        transfer = Transfer(client, "file", ("blksize", 1024), lossy=True)
        for _ in range(40):
            transfer.step()
            time.sleep(0.2)
        client.peer = None
    assert "lladdr" in neighbour(other), neighbour(other)
    growth.expect(transfers_started=1)
    ctl("kill", other)


# ---- addresses and interfaces ----


@test("the answer comes from the address that was asked: an alias")
def _(server):
    aliases = {
        "IPv4": ("192.0.2.11", "192.0.2.12"),
        "IPv6": ("2001:db8::11", "2001:db8::12"),
    }[family(server)]
    with address("server", "to-client", *aliases):
        for where in (*aliases, server):
            served_from(Client(where), where)


@test("the answer comes from the address that was asked: a VIP on the loopback")
def _(server):
    vip = {"IPv4": "192.88.99.1", "IPv6": "2001:db8:99::1"}[family(server)]
    route("client", f"{vip} via {server}")
    with address("server", "lo", vip):
        for netns in (None, "far"):
            served_from(at(netns, vip), vip)


@test("two links, both ways at once")
def _(server):
    other = SECOND[family(server)][0]
    with at("second", other, source_port=4000) as one, Client(server, source_port=4000) as two:
        side_by_side(two, one)
        equal("from", other, one.peer[0])
    # The address of one link, asked from the other.
    served_from(at("second", server), server)


@test("the way back is the routing table's, not the way the request came")
def _(server):
    # The request goes by the first link; the answer to that source leaves by
    # the second, whose namespace hands it over.
    vip = {"IPv4": "192.88.99.2", "IPv6": "2001:db8:99::2"}[family(server)]
    target, gateway = SECOND[family(server)]
    ip(
        "second",
        "link add across type veth peer name across netns client",
        "link set across addrgenmode none",
        "addr add fe80::a/64 dev across nodad",
        "link set across up",
    )
    defer(ip, "second", "link del across")
    ip("client", "link set across up", f"addr add {of('across', vip, True)}")
    sysctl("second", "ipv4/ip_forward", 1)
    sysctl("second", "ipv6/conf/all/forwarding", 1)
    ip("second", f"route add {vip} dev across")
    route("server", f"{vip} via {gateway}")
    route("client", f"{target} via {server}")
    growth = Growth()
    with Client(target, source=vip) as client:
        same(OTHER, fetch(client, "other", *WINDOW))
        equal("from", target, client.peer[0])
    growth.expect(transfers_completed=1, transfers_active=0)


@test("link-local addresses: the scope tells two links apart", ["IPv6"])
def _(_):
    server, source = "fe80::1%to-server", "fe80::2%to-server"
    ip("server", "addr add fe80::1/64 dev to-client nodad", "addr add fe80::1/64 dev to-second nodad")
    for netns in ("client", "second"):
        ip(netns, "addr add fe80::2/64 dev to-server nodad")
    with Client(server, source=source, source_port=4001) as one:
        with at("second", server, source=source, source_port=4001) as two:
            side_by_side(one, two)
            # A refusal has to find the link as well.
            with Client(server, source=source) as client:
                refused(client, "fe80::1")
    # Of its link only.
    with listening("fe80::1 dev to-second"):
        unheard(Client(server), at("second", server))


@test("a listener of one interface hears that one only")
def _(server):
    with listening("* dev to-second"):
        unheard(Client(server), at("second", SECOND[family(server)][0]))
    served_from(Client(server), server)


@test("a listener of one address and port, which need not exist yet")
def _(server):
    late = {"IPv4": "192.0.2.33", "IPv6": "2001:db8::33"}[family(server)]
    with listening(f"[{late}]:6969" if ":" in late else f"{late}:6969"):
        with address("server", "to-client", late):
            for closed in (Client(late), Client(server, port=6969)):
                unheard(closed, Client(late, port=6969))


# ---- interfaces that come and go ----


@contextlib.contextmanager
def gadget(name="usb0", index=()):
    """A link of the server like that to a USB gadget, meanwhile; its other end is in
    the namespace "second".
    """
    ip("server", " ".join(("link add", name, *index, "type veth peer name gadget netns second")))
    ip("server", "addr add 198.18.0.1/24 dev " + name, f"addr add 2001:db8:18::1/64 dev {name} nodad", f"link set {name} up")
    ip("second", "addr add 198.18.0.2/24 dev gadget", "addr add 2001:db8:18::2/64 dev gadget nodad", "link set gadget up")
    try:
        yield
    finally:
        # It may have gone with its other end.
        execute("ip", "-n", "second", "link", "del", "gadget")


GADGET = {"IPv4": "198.18.0.1", "IPv6": "2001:db8:18::1"}


def listed(waiting, name="usb0"):
    """Do the listeners of that name wait?"""

    def found():
        listeners = told("show")["listeners"]
        return [entry["waiting"] for entry in listeners if entry["interface"] == name] == [waiting] * 2

    wait_for(f"listeners that wait: {waiting}", found)


def serves(server, name="other"):
    listed(False)
    with inside("second"):
        reach(GADGET[family(server)], "second")
    with at("second", GADGET[family(server)]) as client:
        same(OTHER, fetch(client, name, *WINDOW))


@test("a listener's interface is deleted and made anew")
def _(server):
    with gadget():
        during(listening("* dev usb0"))
        serves(server)
        # What runs ends, and the interface goes at once.
        with at("second", GADGET[family(server)]) as client:
            Transfer(client, "file", *WINDOW).step(8)
            client.peer = None
            command("ip", "-n", "server", "link", "del", "usb0")
        listed(True)
        equal("transfers", [], told("transfers"))
    ip("server", "link add usb1 type veth peer name dummy2")
    defer(ip, "server", "link del usb1")
    listed(True)
    for index in ((), ("index", "4711"), ("index", "4711")):
        with gadget(index=index):
            serves(server)
        listed(True)


@test("a listener's interface need not exist yet, and follows its name")
def _(server):
    during(listening("* dev usb0"))
    listed(True)
    with gadget("other0"):
        listed(True)
        ip("server", "link set other0 down", "link set other0 name usb0", "link set usb0 up", "addr replace 2001:db8:18::1/64 dev usb0 nodad")
        serves(server)
        ip("server", "link set usb0 down", "link set usb0 name other0", "link set other0 up", "addr replace 2001:db8:18::1/64 dev other0 nodad")
        listed(True)
    # A port that somebody else has there: it waits on.
    with inside("server"):
        taken = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with taken:
        taken.bind(("", 69))
        with gadget():
            time.sleep(0.1)
            waiting = [x["waiting"] for x in told("show")["listeners"] if x["interface"] == "usb0" and x["address"] == "0.0.0.0"]
            equal("waits", [True], waiting)


@test("a waiting listener: port-range, unlisten and unloading do not mind", ["IPv4"])
def _(_):
    during(listening("* dev usb0"))
    with settings(port_range="30100-30110"):
        listed(True)
    shows("*usb0*waiting for the interface*")


# ---- VRF ----


@test("a VRF whose addresses are those of the main table")
def _(server):
    during(namespaces("blue"))
    ip(
        "server",
        "link add blue type vrf table 10",
        "link set blue up",
        "link add to-blue type veth peer name to-server netns blue",
        "link set to-blue master blue",
        "link set to-blue up",
        f"addr add {of('to-blue', server)}",
    )
    defer(ip, "server", "link del to-blue", "link del blue")
    ip("blue", "link set to-server up", f"addr add {of('to-server', CLIENTS[family(server)])}")
    # Without a listener of the VRF nobody hears it.
    unheard(at("blue", server), Client(server))
    with listening("* dev blue"):
        unheard(Client(server, source_port=4002), at("blue", server, source_port=4002))
        served_from(at("blue", server), server)
    # Both tables at once, by their addresses' interfaces.
    with listening("* dev blue", "* dev to-client"):
        with at("blue", server, source_port=4003) as blue, Client(server, source_port=4003) as main:
            side_by_side(blue, main)


# ---- to many ----


def to_many(where):
    """A client that asks everybody on the link."""
    client = Client(where, device="to-server")
    client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
    return client


@test("requests to a broadcast address: ignored, or answered if told to", ["IPv4"])
def _(server):
    addresses = ("192.0.2.255", "255.255.255.255")
    for where in addresses:
        growth = Growth()
        with to_many(where) as client:
            client.request("other")
            client.request("other", WINDOW)
            quiet(client)
        growth.expect(requests_dropped=2, transfers_started=0)
    with listening("* --broadcast"):
        for where in addresses:
            served_from(to_many(where), server)
        # As ever to those who ask one.
        served_from(Client(server), server)


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
                refused(client, server)


@test("single-port: strangers, repeated and other requests")
def _(server):
    with listening("* --single-port"):
        growth = Growth()
        with Client(server) as client, Client(server) as stranger:
            for _ in range(3):
                client.send(request("file", WINDOW), client.listener)
            oack = client.expect(Oack)
            stranger.send(ack(0))
            stranger.expect(Error, code=Code.TID)
            stranger.peer = None
            fence()
            answers = [packet for _, packet in client.arrived()]
            assert answers == [oack] * min(len(answers), 2), answers
            # Another one takes the place of an unvalidated one.
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
            same(OTHER[:8192], client.blocks(1, 8))
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
    during(address("far", "to-client", other))
    with at("far", server, source=FAR[family(server)], source_port=port) as first:
        with at("far", server, source=other, source_port=port) as another:
            one, two = side_by_side(first, another)
            same(OTHER, two.finish())
            same(FILE, one.finish())


@test("NAT, a port for each transfer: nothing gets through")
def _(server):
    """What the next two tests are about: without their remedy it fails."""
    with nat(server), at("far", server) as client:
        growth = Growth()
        client.request("other", WINDOW)
        growth.expect(clients_unreachable=1, transfers_active=0)
        client.expect_silence(0)


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
    with settings(port_range=f"{low}-{low + 3}"):
        got = set()
        for _ in range(60):
            with Client(server) as client:
                client.open("file", *WINDOW)
                got.add(client.peer[1])
        equal("ports", set(range(low, low + 4)), got)
        # As many transfers of one client as there are clients' ports.
        transfers = [Transfer(during(Client(server)), "file", *WINDOW) for _ in range(20)]
        for transfer in transfers:
            transfer.step(8)
        for transfer in transfers:
            same(FILE[:8192], b"".join(transfer.payloads))
    with settings(port_range=f"{low}-{low}"):
        with Client(server) as first, Client(server) as another:
            one, two = Transfer(first, "file", *WINDOW), Transfer(another, "other", *WINDOW)
            same(FILE, one.finish())
            same(OTHER, two.finish())
            equal("ports", {low}, {first.peer[1], another.peer[1]})


@test("port-range: a change ends what is running by an ERROR, and only that")
def _(server):
    with Client(server) as client:
        # With such a delay the server does not ask again while settings change.
        with netem("delay 100ms"):
            Transfer(client, "file", *WINDOW).step(8)
            client.blocks(9, 16)
        with settings(port_range="30100-30110"):
            client.expect(Error, code=Code.UNDEFINED)
            client.peer = None
            same(FILE, fetch(client, "file", *WINDOW))
            between("port", 30100, client.peer[1], 30110)
    with Client(server) as client:
        same(FILE, fetch(client, "file", *WINDOW))


command("modprobe", "-a", "vrf", "nf_conntrack_tftp", "nf_nat_tftp", "nft_chain_nat", "nft_masq", "nft_ct")
run(served(), routed(), second_link())
