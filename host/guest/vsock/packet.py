# SPDX-License-Identifier: Apache-2.0
"""The header in front of every virtio-vsock packet: 44 bytes, little-endian.

    0         src_cid                    8    dst_cid
    16        src_port                  20    dst_port
    24        len                       28    type (2), op (2)
    32        flags                     36    buf_alloc
    40        fwd_cnt

VIRTIO 1.2, 5.10.6 "Device Operation". `LAYOUT` is the only definition of the header;
the hot path packs with a `struct.Struct` that is derived from it.
"""

from __future__ import annotations

import struct
from enum import IntEnum, IntFlag
from typing import Final, NamedTuple

import construct

HOST_CID: Final = 2
"""VMADDR_CID_HOST, man 7 vsock."""
TYPE_STREAM: Final = 1

LAYOUT: Final = construct.Struct(
    "src_cid" / construct.Int64ul,
    "dst_cid" / construct.Int64ul,
    "src_port" / construct.Int32ul,
    "dst_port" / construct.Int32ul,
    "length" / construct.Int32ul,
    "type" / construct.Int16ul,
    "operation" / construct.Int16ul,
    "flags" / construct.Int32ul,
    "buf_alloc" / construct.Int32ul,
    "fwd_cnt" / construct.Int32ul,
)


class Operation(IntEnum):
    """The operation of a packet (VIRTIO 1.2, 5.10.6, `enum virtio_vsock_op`)."""

    REQUEST = 1
    RESPONSE = 2
    RST = 3
    SHUTDOWN = 4
    RW = 5
    CREDIT_UPDATE = 6
    CREDIT_REQUEST = 7


class Shutdown(IntFlag):
    """The directions that the sender of a SHUTDOWN has ended, seen from the sender."""

    NOTHING = 0
    RECEIVE = 1
    SEND = 2
    BOTH = 3


class Header(NamedTuple):
    """One header; `operation` is a plain number because a guest may send any."""

    src_cid: int
    dst_cid: int
    src_port: int
    dst_port: int
    length: int
    type: int
    operation: int
    flags: int
    buf_alloc: int
    fwd_cnt: int


def _derive_struct() -> struct.Struct:
    codes = {2: "H", 4: "I", 8: "Q"}
    sizes = [subcon.sizeof() for subcon in LAYOUT.subcons]
    names = tuple(subcon.name for subcon in LAYOUT.subcons)
    if names != Header._fields:
        raise TypeError(f"vsock header: fields {names} differ from Header's")
    return struct.Struct("<" + "".join(codes[size] for size in sizes))


HEADER: Final = _derive_struct()
HEADER_SIZE: Final = HEADER.size


def parse_header(data: bytes) -> Header:
    """Return the header of a packet; raise `ValueError` when `data` is too short."""
    if len(data) < HEADER_SIZE:
        raise ValueError(
            f"vsock packet: {len(data)} bytes, the header has {HEADER_SIZE}"
        )
    return Header._make(HEADER.unpack_from(data))
