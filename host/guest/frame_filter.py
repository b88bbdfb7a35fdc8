# SPDX-License-Identifier: Apache-2.0
"""The frames of a guest that slirp4netns gets: no frame for this host's loopback.

    guest's eth0 ── this filter ── tap ── slirp4netns

slirp4netns 1.2 closes the gateway's address to the host's loopback. A frame that names
127.0.0.1 or 0.0.0.0 it connects there all the same, and a program that may send raw
frames (CAP_NET_RAW) can send one. The kernel runs this filter on every frame before
slirp4netns can read it, also on those of packet sockets that pass by the queues, and
only the holder of the tap's descriptor can remove it (linux/if_tun.h, TUNATTACHFILTER).
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import struct
from typing import Final

from kata_host.guest.local_syscall import duplicate_of

TAP: Final = "/dev/net/tun"
TUNATTACHFILTER: Final = 0x401054D5

# linux/if_ether.h
ETH_P_IP: Final = 0x0800
ETH_P_ARP: Final = 0x0806
TYPE: Final = 12
"""Where a frame has its type, in bytes."""
DESTINATION: Final = 30
"""Where a frame with IPv4 has the first byte of the destination."""

# linux/bpf_common.h
LOAD_HALF: Final = 0x28
LOAD_BYTE: Final = 0x30
JUMP_IF_EQUAL: Final = 0x15
RETURN: Final = 0x06
PASS: Final = 0x40000
"""The most bytes of a frame that are kept; 0 drops it."""

PROGRAM: Final = (
    # Code, where to go on if equal and if not (how many instructions to leave out),
    # value. A frame that is too short for a load is dropped.
    (LOAD_HALF, 0, 0, TYPE),
    (JUMP_IF_EQUAL, 4, 0, ETH_P_ARP),
    (JUMP_IF_EQUAL, 0, 4, ETH_P_IP),
    (LOAD_BYTE, 0, 0, DESTINATION),
    (JUMP_IF_EQUAL, 2, 0, 127),
    (JUMP_IF_EQUAL, 1, 0, 0),
    (RETURN, 0, 0, PASS),
    (RETURN, 0, 0, 0),
)
"""ARP, and IPv4 to other networks than 127.0.0.0/8 and 0.0.0.0/8, for which Linux takes
its loopback too. Nothing else: the network `user` has IPv4 alone."""


def filter_frames(pid: int, pidfd: int) -> None:
    """Filter what the process `pid` reads from its only tap device.

    Raises `OSError` if the process has none, or does not let its descriptor be
    duplicated (man 2 pidfd_getfd).
    """
    tap = duplicate_of(pidfd, _tap_of(pid))
    try:
        code = b"".join(struct.pack("=HBBI", *each) for each in PROGRAM)
        buffer = ctypes.create_string_buffer(code, len(code))
        # struct sock_fprog (linux/filter.h)
        program = struct.pack("@HP", len(PROGRAM), ctypes.addressof(buffer))
        fcntl.ioctl(tap, TUNATTACHFILTER, program)
    finally:
        os.close(tap)


def _tap_of(pid: int) -> int:
    folder = f"/proc/{pid}/fd"
    for name in os.listdir(folder):
        # A descriptor may have been closed since.
        with contextlib.suppress(FileNotFoundError):
            if os.readlink(f"{folder}/{name}") == TAP:
                return int(name)
    raise FileNotFoundError(f"process {pid}: no tap device")
