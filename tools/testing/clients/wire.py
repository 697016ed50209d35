# SPDX-License-Identifier: GPL-2.0
"""A host of one's own on a client's wire: Ethernet, ARP, DHCP and UDP over IPv4, enough
for boot clients in QEMU (a UNIX socket) and programs in a network namespace (a tap).
"""

import fcntl
import os
import select
import socket
import struct
import subprocess
import time

SERVER, CLIENT = "192.0.2.1", "192.0.2.100"
MAC, BROADCAST = bytes.fromhex("525400000099"), b"\xff" * 6
TFTP, DHCP_SERVER, DHCP_CLIENT = 69, 67, 68
TUNSETIFF, IFF_TAP, IFF_NO_PI = 0x400454CA, 2, 0x1000


class Socket:
    """QEMU's "stream" network: each frame follows its length."""

    def __init__(self, path, connect=False):
        self.stream, self.got = socket.socket(socket.AF_UNIX), b""
        if connect:
            self.stream.connect(path)
            return
        self.listening = self.stream
        self.listening.bind(path)
        self.listening.listen()

    def accept(self):
        self.stream = self.listening.accept()[0]
        self.listening.close()

    def fileno(self):
        return self.stream.fileno()

    def close(self):
        self.stream.close()

    def send(self, frame):
        self.stream.sendall(struct.pack(">I", len(frame)) + frame)

    def receive(self):
        """Frames that have arrived; the first blocks."""
        more = self.stream.recv(1 << 16)
        if not more:
            raise EOFError
        self.got += more
        frames = []
        while len(self.got) >= 4:
            end = 4 + struct.unpack_from(">I", self.got)[0]
            if len(self.got) < end:
                break
            frames.append(self.got[4:end])
            self.got = self.got[end:]
        return frames


class Tap:
    """The wire of this network namespace, whose end the clients use is a tap."""

    def __init__(self):
        self.file = os.open("/dev/net/tun", os.O_RDWR)
        fcntl.ioctl(self.file, TUNSETIFF, struct.pack("16sH22x", b"tap0", IFF_TAP | IFF_NO_PI))
        for words in ("link set lo up", "link set tap0 up", f"addr add {CLIENT}/24 dev tap0"):
            subprocess.run(["ip", *words.split()], check=True)

    def accept(self):
        pass

    def fileno(self):
        return self.file

    def close(self):
        os.close(self.file)

    def send(self, frame):
        os.write(self.file, frame)

    def receive(self):
        return [os.read(self.file, 1 << 16)]


def checksum(data):
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    total = (total >> 16) + (total & 0xFFFF)
    return ~(total + (total >> 16)) & 0xFFFF


class Host:
    """Answers ARP, and DHCP with the boot file that boot_file(user class) names. What
    else arrives by UDP is for receive(port, peer's port, payload).
    """

    def __init__(self, wire, boot_file, receive):
        self.wire, self.boot_file, self.receive = wire, boot_file, receive
        self.client = BROADCAST

    def pump(self, end):
        """Take what has arrived, or wait for it until then; was there something?"""
        ready, _, _ = select.select([self.wire], [], [], max(0, end - time.monotonic()))
        for frame in self.wire.receive() if ready else ():
            self.take(frame)
        return bool(ready)

    def take(self, frame):
        kind = frame[12:14]
        if kind == b"\x08\x06" and frame[20:22] == b"\0\1" and frame[38:42] == socket.inet_aton(SERVER):
            self.client = frame[6:12]
            reply = frame[14:20] + b"\0\2" + MAC + frame[38:42] + frame[22:32]
            self.wire.send(frame[6:12] + MAC + kind + reply)
        elif kind == b"\x08\x00" and frame[23] == socket.IPPROTO_UDP:
            start = 14 + 4 * (frame[14] & 15)
            source, port, length = struct.unpack_from(">HHH", frame, start)
            payload = frame[start + 8 : start + length]
            if port == DHCP_SERVER:
                self.client = frame[6:12]
                self.dhcp(payload)
            elif frame[30:34] == socket.inet_aton(SERVER):
                self.client = frame[6:12]
                self.receive(port, source, payload)

    def send(self, port, peer, payload, to=CLIENT, mac=None):
        addresses = socket.inet_aton(SERVER) + socket.inet_aton(to)
        udp = struct.pack(">HHHH", port, peer, 8 + len(payload), 0) + payload
        udp_sum = checksum(addresses + struct.pack(">HH", socket.IPPROTO_UDP, len(udp)) + udp) or 0xFFFF
        udp = udp[:6] + struct.pack(">H", udp_sum) + udp[8:]
        ip = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(udp), 0, 0x4000, 64, socket.IPPROTO_UDP, 0) + addresses
        ip = ip[:10] + struct.pack(">H", checksum(ip)) + ip[12:]
        self.wire.send((mac or self.client) + MAC + b"\x08\x00" + ip + udp)

    def dhcp(self, asked):
        options, i = {}, 240
        while i < len(asked) and asked[i] != 255:
            if asked[i] == 0:
                i += 1
                continue
            options[asked[i]] = asked[i + 2 : i + 2 + asked[i + 1]]
            i += 2 + asked[i + 1]
        if options.get(53) not in (b"\1", b"\3"):
            return
        name = self.boot_file(options.get(77, b"")).encode()
        server = socket.inet_aton(SERVER)
        reply = b"\2" + asked[1:16] + socket.inet_aton(CLIENT) + server + bytes(4) + asked[28:44]
        reply += bytes(64) + name.ljust(128, b"\0") + b"\x63\x82\x53\x63"
        for code, value in (
            *((53, b"\2" if options[53] == b"\1" else b"\5"), (54, server), (51, b"\0\0\xff\xff")),
            *((1, b"\xff\xff\xff\0"), (3, server)),
        ):
            reply += bytes((code, len(value))) + value
        self.send(DHCP_SERVER, DHCP_CLIENT, (reply + b"\xff").ljust(300, b"\0"), "255.255.255.255", BROADCAST)
