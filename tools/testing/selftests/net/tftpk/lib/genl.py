# SPDX-License-Identifier: GPL-2.0
"""Generic netlink by hand: for what tftpkctl would take too long for, and for messages
that it would not send. Numbers are those of the module's header.
"""

import pathlib
import re
import socket
import struct

from .host import HERE, inside

NETLINK_GENERIC = 16
NLM_F_REQUEST, NLM_F_ACK, NLM_F_DUMP = 1, 4, 0x300
NLMSG_ERROR, NLMSG_DONE = 2, 3
GENL_ID_CTRL, CTRL_CMD_GETFAMILY = 16, 3
CTRL_ATTR_FAMILY_ID, CTRL_ATTR_FAMILY_NAME, CTRL_ATTR_MCAST_GROUPS = 1, 2, 7
GROUP_NAME, GROUP_ID = 1, 2
SOL_NETLINK, ADD_MEMBERSHIP = 270, 1


def constants():
    """All enumerators of the header, by their names."""
    places = (pathlib.Path("/usr/include"), HERE / "../../../../../include/uapi")
    header = next(path for p in places if (path := p / "linux/tftpk.h").exists())
    text = re.sub(r"/\*.*?\*/", "", header.read_text(encoding="utf-8"), flags=re.DOTALL)
    found = {}
    for body in re.findall(r"enum[^{;]*{(.*?)}", text, re.DOTALL):
        value = -1
        for name, given in re.findall(r"(\w+)(?:\s*=\s*(\d+))?\s*,", body):
            value = int(given) if given else value + 1
            found[name] = value
    return found


TFTPK = constants()


def named(kind, entry):
    """The attributes of a set by their names, "client_address" and so on."""
    start = f"TFTPK_A_{kind.upper()}_"
    names = {n: key.removeprefix(start).lower() for key, n in TFTPK.items() if key.startswith(start)}
    return {names[n]: value for n, value in entry.items()}


def u32(payload):
    return struct.unpack("=I", payload)[0]


def u64(payload):
    return struct.unpack("=Q", payload)[0]


def attribute(number, payload, length=None):
    packed = struct.pack("=HH", 4 + len(payload) if length is None else length, number) + payload
    return packed + bytes(-len(packed) % 4)


def attributes(packed):
    """Pairs of number and payload."""
    at = 0
    while at + 4 <= len(packed):
        length, number = struct.unpack_from("=HH", packed, at)
        if length < 4:
            return
        yield number & 0x3FFF, packed[at + 4 : at + length]
        at += length + 3 & ~3


def message(family, command, payload=b"", flags=0, version=1):
    body = struct.pack("=BBH", command, version, 0) + payload
    return struct.pack("=IHHII", 16 + len(body), family, NLM_F_REQUEST | flags, 1, 0) + body


def messages(datagram):
    """Pairs of type and content."""
    while len(datagram) >= 16:
        length, kind = struct.unpack_from("=IH", datagram)
        yield kind, datagram[16:length]
        datagram = datagram[length + 3 & ~3 :]


class Genl:
    """A socket in some namespace; a thread's own unless it is named. `described` is what
    the controller says of the family.
    """

    def __init__(self, netns=None, sock=None):
        with inside(netns):
            self.socket = sock or socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_GENERIC)
        self.socket.settimeout(30)
        name = attribute(CTRL_ATTR_FAMILY_NAME, b"tftpk\0")
        _, self.described = self.ask(CTRL_CMD_GETFAMILY, name, family=GENL_ID_CTRL)
        self.family = struct.unpack("=H", self.described[CTRL_ATTR_FAMILY_ID])[0]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def ask(self, command, payload=b"", flags=0, family=None):
        """Send a request. Returns the errno of the reply, 0 where it is none, and
        the reply's attributes by their numbers.
        """
        self.socket.send(message(family or self.family, command, payload, flags))
        reply = self.socket.recv(1 << 18)
        if struct.unpack_from("=H", reply, 4)[0] == NLMSG_ERROR:
            return -struct.unpack_from("=i", reply, 16)[0], {}
        return 0, dict(attributes(reply[20:]))

    def exchange(self, packet):
        """Send any message that wants an acknowledgment. Returns the errno that ends
        the answer, 0 where it is none, and the attributes of what came before.
        """
        try:
            self.socket.send(packet)
        except OSError as error:
            return error.errno, []
        got = []
        while True:
            for kind, content in messages(self.socket.recv(1 << 18)):
                if kind in (NLMSG_ERROR, NLMSG_DONE):
                    code = struct.unpack_from("=i", content)[0] if len(content) >= 4 else 0
                    return -code, got
                got.append(dict(attributes(content[4:])))

    def dump(self, command):
        return self.exchange(message(self.family, command, flags=NLM_F_ACK | NLM_F_DUMP))

    def join(self, wanted):
        """Be told what is sent to a group."""
        for _, group in attributes(self.described[CTRL_ATTR_MCAST_GROUPS]):
            fields = dict(attributes(group))
            if fields[GROUP_NAME] == wanted.encode() + b"\0":
                self.socket.setsockopt(SOL_NETLINK, ADD_MEMBERSHIP, u32(fields[GROUP_ID]))
                return
        raise AssertionError(f"no group {wanted}")
