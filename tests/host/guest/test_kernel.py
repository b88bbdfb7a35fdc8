# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import gzip
import lzma
import os
import shutil
import struct
import subprocess

import pytest

from kata_host.guest.kernel import KernelError, extract

ELF = b"\x7fELF" + bytes(range(256)) * 40
LZ4_LEGACY = b"\x02\x21\x4c\x18"
OFFSET = 64
"""Where the payload begins behind the boot sectors."""


def bz_image(payload: bytes, *, setup_sectors: int = 4) -> bytes:
    """Return a kernel image around a compressed payload."""
    header = bytearray((max(setup_sectors, 4) + 1) * 512)
    header[0x1F1] = setup_sectors
    header[0x202:0x206] = b"HdrS"
    struct.pack_into("<II", header, 0x248, OFFSET, len(payload))
    return bytes(header) + bytes(OFFSET) + payload + b"behind the payload"


def with_size(payload: bytes) -> bytes:
    """Append the size of the kernel, as its build does."""
    return payload + struct.pack("<I", len(ELF))


def lz4_blocks(*blocks: bytes) -> bytes:
    sized = b"".join(struct.pack("<I", len(block)) + block for block in blocks)
    return with_size(LZ4_LEGACY + sized)


def literals(data: bytes) -> bytes:
    """Return an LZ4 block without copies."""
    extra = len(data) - 15
    return b"\xf0" + b"\xff" * (extra // 255) + bytes([extra % 255]) + data


@pytest.mark.parametrize("compress", [lzma.compress, gzip.compress])
def test_a_kernel_is_unpacked(compress: object) -> None:
    assert callable(compress)
    assert extract(bz_image(compress(ELF))) == ELF


def test_a_kernel_in_zstd_is_unpacked() -> None:
    if shutil.which("zstd") is None:
        if os.environ.get("CI"):
            pytest.fail("needs zstd")
        pytest.skip("needs zstd")
    done = subprocess.run(["zstd", "--stdout"], input=ELF, capture_output=True)
    assert extract(bz_image(with_size(done.stdout))) == ELF


def test_a_kernel_in_lz4_is_unpacked_block_by_block() -> None:
    half = len(ELF) // 2
    blocks = lz4_blocks(literals(ELF[:half]), literals(ELF[half:]))
    assert extract(bz_image(blocks)) == ELF


@pytest.mark.parametrize(
    ("block", "content"),
    [
        # Four literals, then four bytes from four back.
        (b"\x40\x7fELF\x04\x00\x10!", b"\x7fELF\x7fELF!"),
        # The copy overlaps its own output: the last byte, 4 + 15 + 1 times.
        (b"\x4f\x7fELF\x01\x00\x01\x10!", b"\x7fELF" + b"F" * 20 + b"!"),
        # Two bytes over and over, not a whole number of times.
        (b"\x41\x7fELF\x02\x00\x10!", b"\x7fELF" + b"LFLFL" + b"!"),
        # A copy of a part of the output.
        (b"\x60\x7fELFab\x06\x00\x10!", b"\x7fELFab" + b"\x7fELF" + b"!"),
    ],
)
def test_copies_of_lz4(block: bytes, content: bytes) -> None:
    assert extract(bz_image(lz4_blocks(block))) == content


def test_a_copy_from_before_the_start_is_an_error() -> None:
    with pytest.raises(KernelError, match="copy from before the start"):
        extract(bz_image(lz4_blocks(b"\x40\x7fELF\x05\x00\x10!")))


def test_no_setup_sectors_mean_four() -> None:
    assert extract(bz_image(lzma.compress(ELF), setup_sectors=0)) == ELF


def test_an_elf_file_is_returned_unchanged() -> None:
    assert extract(ELF) is ELF


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (bytes(4096), "neither a bzImage nor an ELF file"),
        (b"", "neither a bzImage nor an ELF file"),
        (bz_image(b"MAGIC!"), "unknown compression, magic 4d4147494321"),
        (bz_image(lzma.compress(b"no kernel")), "payload is not an ELF file"),
        (bz_image(with_size(b"\x28\xb5\x2f\xfdbroken")), "kernel: zstd"),
    ],
)
def test_what_is_no_kernel_is_an_error(image: bytes, message: str) -> None:
    with pytest.raises(KernelError, match=message):
        extract(image)
