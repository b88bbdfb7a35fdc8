# SPDX-License-Identifier: Apache-2.0
"""Sends TCP's first packet to an address as a raw frame, by any way there is.

    python -m tests.helpers.raw_frames INTERFACE SOURCE DESTINATION PORT

A kernel that routes never sends such a frame for 127.0.0.1.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import sys
from typing import Final

PACKET_QDISC_BYPASS: Final = 20
SOL_PACKET: Final = 263
SYN: Final = 0x02
VLAN: Final = b"\x81\0\0\1"


def main(interface: str, source: str, destination: str, port: int) -> None:
    ends = socket.inet_aton(source), socket.inet_aton(destination)
    tcp = struct.pack(">HHIIBBHHH", 4444, port, 1, 0, 0x50, SYN, 65535, 0, 0)
    pseudo = b"".join(ends) + struct.pack(">HH", socket.IPPROTO_TCP, len(tcp))
    tcp = tcp[:16] + checksum(pseudo + tcp) + tcp[18:]
    size = 20 + len(tcp)
    ip = struct.pack(">BBHHHBBH", 0x45, 0, size, 1, 0, 64, socket.IPPROTO_TCP, 0)
    ip += b"".join(ends)
    packet = ip[:10] + checksum(ip) + ip[12:] + tcp
    for bypass in (0, 1):
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as frames:
            frames.bind((interface, 0))
            frames.setsockopt(SOL_PACKET, PACKET_QDISC_BYPASS, bypass)
            addresses = bytes.fromhex("525500000202") + frames.getsockname()[4]
            for tag in (b"", VLAN):
                # ENOBUFS says that the device has dropped it.
                with contextlib.suppress(OSError):
                    frames.send(addresses + tag + b"\x08\0" + packet)


def checksum(data: bytes) -> bytes:
    """Return the checksum of an even number of bytes (RFC 1071)."""
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return struct.pack(">H", ~total & 0xFFFF)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]))
