#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""Requests with forged sources, as fast as it goes, until terminated; then
prints how many. Started in the network namespace "client".
"""

import os
import signal
import socket
import struct
import subprocess

from tftp_packet import request


def checksum(what):
    total = sum(struct.unpack(f"!{len(what) // 2}H", what))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def datagram(source, port, target, payload):
    """An IPv4 packet; without a checksum of UDP, which may be left out."""
    udp = struct.pack("!HHHH", port, 69, 8 + len(payload), 0) + payload
    header = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), 0, 0x4000, 64, 17, 0, source, target)
    return header[:10] + struct.pack("!H", checksum(header)) + header[12:] + udp


def main():
    link = subprocess.run(
        ["ip", "-n", "server", "-br", "link", "show", "to-client"], check=True, capture_output=True, text=True
    ).stdout
    wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    wire.bind(("to-server", 0))
    ethernet = bytes.fromhex(link.split()[2].replace(":", "")) + wire.getsockname()[4] + b"\x08\0"
    target = socket.inet_aton(os.environ["SERVER4"])
    payload = request("file", {"blksize": 1400, "windowsize": 64})
    frames = [
        ethernet + datagram(socket.inet_aton(f"198.51.{n >> 8}.{n & 255}"), 1024 + n, target, payload)
        for n in range(4096)
    ]
    told = []
    signal.signal(signal.SIGTERM, lambda number, _: told.append(number))
    sent = 0
    while not told:
        try:
            wire.send(frames[sent % len(frames)])
        except OSError:  # the queue is full
            pass
        sent += 1
    print(sent)


main()
