# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import re

import pytest

from ttrpc.address import (
    CID_ANY,
    Address,
    HybridVsockAddress,
    UnixAddress,
    VsockAddress,
    parse_address,
)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("unix:///run/a.sock", UnixAddress("/run/a.sock")),
        ("unix://@name", UnixAddress("@name")),
        ("vsock://3:1024", VsockAddress(3, 1024)),
        ("vsock://-1:0", VsockAddress(CID_ANY, 0)),
        ("vsock://0:4294967295", VsockAddress(0, 0xFFFFFFFF)),
        ("hvsock:///run/vm.sock:1024", HybridVsockAddress("/run/vm.sock", 1024)),
        ("hvsock://@vm:1", HybridVsockAddress("@vm", 1)),
        ("hvsock:///run/a:b:1", HybridVsockAddress("/run/a:b", 1)),
    ],
)
def test_an_address_is_read_and_written_back(text: str, address: Address) -> None:
    assert parse_address(text) == address
    assert str(address) == text


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("/run/a.sock", "no scheme (unix, vsock or hvsock)"),
        ("tcp://127.0.0.1:1", "unknown scheme 'tcp'"),
        ("Vsock://1:1", "unknown scheme 'Vsock'"),
        ("unix://a.sock", "not an absolute path or @name: 'a.sock'"),
        ("unix://@", "not an absolute path or @name: '@'"),
        ("unix:///a\0b", "not an absolute path or @name: '/a\\x00b'"),
        ("unix:///" + 107 * "a", "longer than 107 bytes"),
        ("vsock://x:1", "bad context id 'x'"),
        ("vsock://4294967296:1", "bad context id '4294967296'"),
        ("vsock://3", "bad context id ''"),
        ("vsock://3:", "bad port ''"),
        ("vsock://3:4294967296", "bad port '4294967296'"),
        ("vsock://3:\u0661", "bad port '\u0661'"),
        ("hvsock:///run/vm.sock", "not an absolute path or @name: ''"),
        ("hvsock:///run/vm.sock:x", "bad port 'x'"),
    ],
)
def test_an_invalid_address_is_named(text: str, reason: str) -> None:
    message = re.escape(f"address {text!r}: {reason}")
    with pytest.raises(ValueError, match=f"^{message}$"):
        parse_address(text)


def test_a_name_of_the_abstract_namespace_starts_with_a_zero_byte() -> None:
    assert UnixAddress("@name").sockaddr == "\0name"
    assert UnixAddress("/run/a.sock").sockaddr == "/run/a.sock"
