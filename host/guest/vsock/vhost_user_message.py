# SPDX-License-Identifier: Apache-2.0
"""The messages of vhost-user that a socket device takes and sends.

    +---------+---------+--------+----------------+
    | request | flags   | size   | payload (size) |   12 bytes, then the payload;
    +---------+---------+--------+----------------+   descriptors ride along

QEMU, docs/interop/vhost-user.rst, "Message Specification".
"""

from __future__ import annotations

import struct
from enum import IntEnum
from typing import Final

import construct

VIRTIO_F_VERSION_1: Final = 1 << 32
VHOST_USER_F_PROTOCOL_FEATURES: Final = 1 << 30
PROTOCOL_F_REPLY_ACK: Final = 1 << 3
PROTOCOL_F_CONFIG: Final = 1 << 9
FLAG_REPLY: Final = 1 << 2
FLAG_NEED_REPLY: Final = 1 << 3
VERSION: Final = 1
VRING_INDEX_MASK: Final = 0xFF
VRING_NO_FD: Final = 1 << 8

HEADER: Final = construct.Struct(
    "request" / construct.Int32ul,
    "flags" / construct.Int32ul,
    "size" / construct.Int32ul,
)
U64: Final = construct.Int64ul
VRING_STATE: Final = construct.Struct(
    "index" / construct.Int32ul, "value" / construct.Int32ul
)
VRING_ADDRESS: Final = construct.Struct(
    "index" / construct.Int32ul,
    "flags" / construct.Int32ul,
    "descriptors" / construct.Int64ul,
    "used" / construct.Int64ul,
    "available" / construct.Int64ul,
    "log" / construct.Int64ul,
)
MEMORY_REGION: Final = construct.Struct(
    "guest_address" / construct.Int64ul,
    "size" / construct.Int64ul,
    "user_address" / construct.Int64ul,
    "offset" / construct.Int64ul,
)
MEMORY_TABLE: Final = construct.Struct(
    "count" / construct.Int32ul,
    construct.Padding(4),
    "regions" / construct.Array(construct.this.count, MEMORY_REGION),
)
CONFIG: Final = construct.Struct(
    "offset" / construct.Int32ul,
    "size" / construct.Int32ul,
    "flags" / construct.Int32ul,
)


class Request(IntEnum):
    """The requests of QEMU (the numbers of `enum VhostUserRequest`)."""

    GET_FEATURES = 1
    SET_FEATURES = 2
    SET_OWNER = 3
    RESET_OWNER = 4
    SET_MEM_TABLE = 5
    SET_VRING_NUM = 8
    SET_VRING_ADDR = 9
    SET_VRING_BASE = 10
    GET_VRING_BASE = 11
    SET_VRING_KICK = 12
    SET_VRING_CALL = 13
    SET_VRING_ERR = 14
    GET_PROTOCOL_FEATURES = 15
    SET_PROTOCOL_FEATURES = 16
    GET_QUEUE_NUM = 17
    SET_VRING_ENABLE = 18
    GET_CONFIG = 24


class ProtocolError(Exception):
    """QEMU sent a message that this device does not understand."""


def build(layout: construct.Construct, value: object) -> bytes:
    """Return the bytes of a value in one of the layouts above."""
    return bytes(layout.build(value))


def config_space(guest_cid: int) -> bytes:
    """Return the device's configuration: the guest's CID (VIRTIO 1.2, 5.10.4)."""
    return struct.pack("<Q", guest_cid)
