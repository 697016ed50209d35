# SPDX-License-Identifier: GPL-2.0
"""Networks to be spoilt. Each lane is a way of its own from the server to a
client, with netem on the middle hop, both ways:

	server [lane0] ---- [to-server] router0 [to-client] ---- [to-router] client0

The server's end does not take segmented buffers, so that what is lost is a
packet and not a train of them.
"""

import contextlib
import pathlib
import queue
import subprocess
import time

from lab import command, inside, ip, make, settings, sysctl, tc, traffic
from testbed import SRV, wait_for

GET = str(pathlib.Path(__file__).with_name("tftp_get"))


class Lane:
    def __init__(self, number):
        self.number = number
        self.router = f"router{number}"
        self.client = f"client{number}"
        self.device = f"lane{number}"
        self.address = {"IPv4": f"10.{number}.1.1", "IPv6": f"fd00:{number}:1::1"}

    def make(self):
        n = self.number
        for netns in (self.router, self.client):
            command("ip", "netns", "add", netns)
        ip(
            "server",
            f"link add {self.device} type veth peer name to-server netns {self.router}",
            f"addr add 10.{n}.1.1/24 dev {self.device}",
            f"addr add fd00:{n}:1::1/64 dev {self.device} nodad",
            f"link set {self.device} up",
        )
        ip(
            self.router,
            f"link add to-client type veth peer name to-router netns {self.client}",
            f"addr add 10.{n}.1.2/24 dev to-server",
            f"addr add fd00:{n}:1::2/64 dev to-server nodad",
            f"addr add 10.{n}.2.2/24 dev to-client",
            f"addr add fd00:{n}:2::2/64 dev to-client nodad",
            "link set to-server up",
            "link set to-client up",
        )
        ip(
            self.client,
            f"addr add 10.{n}.2.1/24 dev to-router",
            f"addr add fd00:{n}:2::1/64 dev to-router nodad",
            "link set to-router up",
            f"route add default via 10.{n}.2.2",
            f"route add default via fd00:{n}:2::2",
        )
        ip(
            "server",
            f"route add 10.{n}.2.0/24 via 10.{n}.1.2",
            f"route add fd00:{n}:2::/64 via fd00:{n}:1::2",
        )
        sysctl(self.router, "ipv4/ip_forward", 1)
        sysctl(self.router, "ipv6/conf/all/forwarding", 1)
        with inside("server"):
            command("ethtool", "-K", self.device, "tx-udp-segmentation", "off")

    def network(self, words):
        """Replace what netem does, in both directions."""
        tc(
            self.router,
            f"qdisc replace dev to-client root netem limit 20000 {words}",
            f"qdisc replace dev to-server root netem limit 20000 {words}",
        )

    def start(self, family, name, blksize, window, patience=5, port=69):
        words = (GET, self.address[family], port, name, SRV / name, blksize, window, patience)
        with inside(self.client):
            return subprocess.Popen(
                [str(word) for word in words],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )

    def finish(self, process, seconds=150):
        """What the client tells; see tftp_get.c."""
        try:
            out, err = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired as late:
            process.kill()
            process.communicate()
            raise AssertionError(f"not done after {seconds} s") from late
        if process.returncode:
            raise AssertionError(err.strip())
        keys = ("seconds", "blocks", "again", "ahead", "acks", "timeouts")
        return dict(zip(keys, map(float, out.split())))

    def fetch(self, *words, **more):
        return self.finish(self.start(*words, **more))

    def packets(self):
        """That came from the server so far."""
        return traffic(self.router, "to-server")["rx_packets"]


lanes = queue.Queue()


@contextlib.contextmanager
def lane():
    mine = lanes.get()
    try:
        yield mine
    finally:
        lanes.put(mine)


@contextlib.contextmanager
def laid(count):
    """Make so many lanes, which lane() lends. Any number of clients may ask."""
    begun = time.monotonic()
    make("lane", bytes(1000))
    try:
        with settings(source_burst=0):
            for number in range(count):
                new = Lane(number)
                new.make()
                # Neighbours are found out before packets are lost.
                for family in ("IPv4", "IPv6"):
                    wait_for("the lane", lambda f=family, n=new: n.fetch(f, "lane", 512, 1))
                lanes.put(new)
            print(f"# prepared after {time.monotonic() - begun:.1f} s")
            yield
    finally:
        for number in range(count):
            for netns in (f"client{number}", f"router{number}"):
                subprocess.run(["ip", "netns", "delete", netns], check=False)
