# SPDX-License-Identifier: GPL-2.0
"""One more namespace, behind the client, which is its router.

	server [to-client] ---- [to-server] client [to-far] ---- [to-client] far
"""

import contextlib

from .host import CLIENTS, SERVERS, inside, ip, namespaces, sysctl, wait_for
from .tftp import Client

FAR = {"IPv4": "198.51.100.2", "IPv6": "2001:db8:f::2"}
ROUTER = {"IPv4": "198.51.100.1", "IPv6": "2001:db8:f::1"}


def reach(server, netns):
    """Wait until it answers there. Links come up, IPv6 looks for duplicates of its
    addresses, and neighbours are found out: until then packets are dropped.
    """

    def answers():
        with Client(server) as client:
            client.request("there is no such file")
            return client.poll(1)

    with inside(netns):
        wait_for(f"an answer in {netns}", answers)


@contextlib.contextmanager
def routed():
    """It is there meanwhile, and neighbours know each other. For run(), after served()."""
    with namespaces("far"):
        ip("client", "link add to-far type veth peer name to-client netns far")
        for netns, device, where in (("client", "to-far", ROUTER), ("far", "to-client", FAR)):
            ip(
                netns,
                f"addr add {where['IPv4']}/24 dev {device}",
                f"addr add {where['IPv6']}/64 dev {device} nodad",
                f"link set {device} up",
            )
        ip("far", *(f"route add default via {address}" for address in ROUTER.values()))
        ip("server", *(f"route add {FAR[name]} via {CLIENTS[name]}" for name in FAR))
        sysctl("client", "ipv4/ip_forward", 1)
        sysctl("client", "ipv6/conf/all/forwarding", 1)
        for server in SERVERS.values():
            reach(server, "far")
        yield
