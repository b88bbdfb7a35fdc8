# SPDX-License-Identifier: Apache-2.0
"""Takes the uncompressed kernel (ELF) out of a bzImage.

QEMU starts an ELF kernel with a PVH entry directly. Under software emulation this saves
the second in which the guest would unpack its kernel.

Source: Linux, Documentation/arch/x86/boot.rst (`setup_sects`, `payload_offset`,
`payload_length`); LZ4's legacy frame: lz4, doc/lz4_Frame_format.md.
"""

from __future__ import annotations

import lzma
import struct
import subprocess
import zlib
from typing import Final

_SETUP_SECTS: Final = 0x1F1
_MAGIC: Final = 0x202
_PAYLOAD: Final = struct.Struct("<II")
_PAYLOAD_AT: Final = 0x248
_SECTOR: Final = 512

_XZ: Final = b"\xfd7zXZ\0"
_GZIP: Final = b"\x1f\x8b"
_LZ4_LEGACY: Final = b"\x02\x21\x4c\x18"
_ZSTD: Final = b"\x28\xb5\x2f\xfd"


class KernelError(Exception):
    """The file is not a kernel of a known format."""


def extract(image: bytes) -> bytes:
    """Return the ELF kernel inside a bzImage; an ELF kernel is returned unchanged.

    Raises `KernelError`.
    """
    if image.startswith(b"\x7fELF"):
        return image
    if image[_MAGIC : _MAGIC + 4] != b"HdrS":
        raise KernelError("kernel: neither a bzImage nor an ELF file")
    setup_sectors = image[_SETUP_SECTS] or 4
    offset, length = _PAYLOAD.unpack_from(image, _PAYLOAD_AT)
    start = (setup_sectors + 1) * _SECTOR + offset
    kernel = _decompress(image[start : start + length])
    if not kernel.startswith(b"\x7fELF"):
        raise KernelError("kernel: payload is not an ELF file")
    return kernel


def _decompress(payload: bytes) -> bytes:
    if payload.startswith(_XZ):
        return lzma.LZMADecompressor().decompress(payload)
    if payload.startswith(_GZIP):
        return zlib.decompressobj(wbits=31).decompress(payload)
    if payload.startswith(_LZ4_LEGACY):
        return _decompress_lz4_legacy(payload)
    if payload.startswith(_ZSTD):
        return _decompress_zstd(payload)
    raise KernelError(f"kernel: unknown compression, magic {payload[:6].hex()}")


def _decompress_zstd(payload: bytes) -> bytes:
    # The standard library reads zstd from Python 3.14 on.
    command = ["zstd", "--decompress", "--stdout", "--quiet"]
    try:
        # The last four bytes are the kernel's size, which zstd takes for garbage.
        done = subprocess.run(
            command, input=payload[:-4], capture_output=True, check=True
        )
    except (OSError, subprocess.CalledProcessError) as error:
        raise KernelError(f"kernel: zstd: {error}") from error
    return done.stdout


def _decompress_lz4_legacy(payload: bytes) -> bytes:
    """Decompress a sequence of sizes and blocks.

    The last four bytes are the kernel's size, which is not part of the format.
    """
    output = bytearray()
    position = len(_LZ4_LEGACY)
    end = len(payload) - 4
    while position < end:
        (size,) = struct.unpack_from("<I", payload, position)
        position += 4
        _decompress_lz4_block(payload, position, position + size, output)
        position += size
    return bytes(output)


def _decompress_lz4_block(
    data: bytes, position: int, end: int, output: bytearray
) -> None:
    """Append the content of one block to `output` (lz4, doc/lz4_Block_format.md).

    A block is a sequence of literals and copies of earlier output.
    """
    while position < end:
        token = data[position]
        position += 1
        length, position = _lz4_length(data, position, token >> 4)
        output += data[position : position + length]
        position += length
        if position >= end:
            return  # The last literals have no copy behind them.
        offset = data[position] | data[position + 1] << 8
        position += 2
        length, position = _lz4_length(data, position, token & 15)
        _copy_match(output, offset, length + 4)


def _lz4_length(data: bytes, position: int, length: int) -> tuple[int, int]:
    if length == 15:
        while True:
            more = data[position]
            position += 1
            length += more
            if more != 255:
                break
    return length, position


def _copy_match(output: bytearray, offset: int, length: int) -> None:
    start = len(output) - offset
    if offset == 0 or start < 0:
        raise KernelError("kernel: LZ4 copy from before the start")
    if offset >= length:
        output += output[start : start + length]
        return
    # The copy overlaps its own output, so it repeats the last `offset` bytes.
    pattern = bytes(output[start:])
    output += (pattern * (length // offset + 1))[:length]
