# SPDX-License-Identifier: GPL-2.0
"""Many clients, and those whom nobody invited.

	server [to-client] ---- [to-server] client        many clients, one LAN
	server [to-router] ---- [to-server] attacker      everybody else

The client has all addresses of the LAN. Beyond the router the attacker has the
first thousand, and forges packets of all others, which never answer.
"""

import contextlib
import ipaddress
import socket
import struct
import time

from .host import SERVERS, family, inside, ip, mac, namespaces, sysctl
from .ktap import during
from .tftp import Client

LAN = {"IPv4": "10.77.0.1", "IPv6": "2001:db8:77::1"}
AWAY = {"IPv4": "100.64.0.1", "IPv6": "2001:db8:1000::1"}
# All that is away.
WIDE = {"IPv4": "100.64.0.0/10", "IPv6": "2001:db8:1000::/36"}
ROUTER = {"IPv4": ("203.0.113.1", "203.0.113.2", 24), "IPv6": ("2001:db8:2::1", "2001:db8:2::2", 64)}
# Who may be on the LAN at one time.
NEIGHBOURS = 600


def lan(server, number):
    """An address on the server's link."""
    return str(ipaddress.ip_address(LAN[family(server)]) + number)


def away(server, number):
    """One beyond the router, each in another network of 64 bits."""
    return str(ipaddress.ip_address(AWAY[family(server)]) + (number << 64 if ":" in server else number))


@contextlib.contextmanager
def crowded():
    """The attacker and the router, and the addresses. Nobody waits for neighbours."""
    with namespaces("attacker"):
        ip("server", "link add to-router type veth peer name to-server netns attacker")
        router, attacker = mac("server", "to-router").hex(":"), mac("attacker", "to-server").hex(":")
        ip("server", "link set to-router up")
        ip("attacker", "link set to-server up")
        for name, (here, there, width) in ROUTER.items():
            nodad = "nodad" if name == "IPv6" else ""
            ip(
                "server",
                f"addr add {here}/{width} dev to-router {nodad}",
                f"neigh replace {there} lladdr {attacker} dev to-router",
                f"route add default via {there}",
            )
            ip(
                "attacker",
                f"addr add {there}/{width} dev to-server {nodad}",
                f"neigh replace {here} lladdr {router} dev to-server",
                f"route add {SERVERS[name]} via {here}",
            )
        ip("attacker", "route add local 100.64.0.0/22 dev lo", "route add local 2001:db8:1000::/54 dev lo")
        ip("client", "route add local 10.77.0.0/16 dev lo", "route add local 2001:db8:77::/64 dev lo")
        ip("server", "route add 10.77.0.0/16 dev to-client", "route add 2001:db8:77::/64 dev to-client")
        # To neighbour solicitations only addresses of an interface would answer.
        at = mac("client", "to-server").hex(":")
        where = [lan(SERVERS["IPv6"], number) for number in range(NEIGHBOURS)]
        ip("server", *(f"neigh add {address} lladdr {at} dev to-client" for address in where))
        for netns in ("client", "attacker"):
            for version in ("ipv4", "ipv6"):
                sysctl(netns, f"{version}/ip_nonlocal_bind", 1)
        yield


# ---- clients, until the test is over ----


def guest(server, **more):
    return during(Client(server, **more))


def guests(number, server, **more):
    return [guest(server, **more) for _ in range(number)]


def stranger(server, number):
    """Somebody beyond the router."""
    with inside("attacker"):
        return guest(server, source=away(server, number))


def strangers(server, number):
    """Twenty at one address there."""
    return [stranger(server, number) for _ in range(20)]


def leave(*clients):
    for client in clients:
        client.error()
        client.peer = None


def ask(client):
    """For what is answered by a block."""
    client.request("short")


def answers(clients, how=ask):
    """How many of them are answered, asking at once."""
    for client in clients:
        how(client)
    time.sleep(0.2)
    answered = [client for client in clients if client.poll() is not None]
    leave(*answered)
    return len(answered)


# ---- packets ----


def checksum(octets):
    """Of IP and UDP."""
    return 0xFFFF - int.from_bytes(octets + bytes(len(octets) % 2), "big") % 0xFFFF


class Forger:
    """Sends what seems to come from anybody, and never sees an answer."""

    def __init__(self, server):
        self.v6 = ":" in server
        with inside("attacker"):
            self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
            self.socket.bind(("to-server", 0))
        self.ethernet = mac("server", "to-router") + mac("attacker", "to-server")
        self.ethernet += b"\x86\xdd" if self.v6 else b"\x08\x00"
        self.to = socket.inet_pton(socket.AF_INET6 if self.v6 else socket.AF_INET, server)

    def packet(self, source, port, to, payload):
        length = 8 + len(payload)
        udp = struct.pack("!HHHH", port, to, length, 0) + payload
        if self.v6:
            addresses = socket.inet_pton(socket.AF_INET6, source) + self.to
            total = checksum(addresses + struct.pack("!IHH", length, 0, 17) + udp)
            head = struct.pack("!IHBB", 6 << 28, length, 17, 64) + addresses
            udp = udp[:6] + struct.pack("!H", total) + payload
        else:
            addresses = socket.inet_aton(source) + self.to
            head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + length, 0, 0, 64, 17, 0) + addresses
            head = head[:10] + struct.pack("!H", checksum(head)) + head[12:]
        return self.ethernet + head + udp

    def send(self, *packet):
        self.socket.send(self.packet(*packet))
