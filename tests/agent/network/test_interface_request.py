# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from kata_agent.errors import InvalidArgument
from kata_agent.network.interface_request import (
    InterfaceRequest,
    parse_interface_request,
)
from kata_protos import types_pb2
from tests.helpers.network import MAC, interface


def test_a_request_is_read_in_the_form_that_ip_prints() -> None:
    message = interface(
        name="eth0", hwAddr="02:AB:00:00:00:01", mtu=1400, addresses=["FD00:0::2/64"]
    )
    request = parse_interface_request(message)
    assert (request.name, request.mac, request.mtu) == (
        "eth0",
        "02:ab:00:00:00:01",
        1400,
    )
    assert [str(address) for address in request.addresses] == ["fd00::2/64"]
    assert request.has_arp


def test_fields_that_are_left_out_keep_what_is_there() -> None:
    assert parse_interface_request(interface(name="eth0")) == InterfaceRequest(
        name="eth0", mac="", mtu=0, has_arp=True, addresses=()
    )


def test_arp_is_off_with_the_flag_of_the_kernel() -> None:
    assert not parse_interface_request(interface(name="eth0", raw_flags=0x80)).has_arp


def test_an_error_names_the_interface_and_the_value() -> None:
    with pytest.raises(
        InvalidArgument, match="interface 'eth0': invalid MTU 2147483648"
    ):
        parse_interface_request(interface(name="eth0", mtu=2**31))
    with pytest.raises(InvalidArgument, match="invalid MAC address 'zz'"):
        parse_interface_request(interface(hwAddr="zz"))


@pytest.mark.parametrize(
    "message",
    [
        interface(),
        interface(hwAddr="02:00"[:4]),
        interface(hwAddr=MAC, name="a/b"),
        interface(hwAddr=MAC, name="eth0 down"),
        interface(hwAddr=MAC, name="eth0\nlink"),
        interface(hwAddr=MAC, name="x" * 16),
        interface(hwAddr=MAC, name=".."),
        interface(hwAddr=MAC, addresses=["10.0.0.1/33"]),
        interface(hwAddr=MAC, addresses=["10.0.0.1/"]),
        interface(hwAddr=MAC, addresses=["10.0.0/8"]),
        interface(hwAddr=MAC, addresses=["fd00::g/64"]),
        interface(hwAddr=MAC, addresses=["10.0.0.1/8 dev lo"]),
        interface(hwAddr=MAC, addresses=["10.0.0.1/8\nlink del veth0"]),
        interface(hwAddr=MAC, addresses=["10.0.0.1"]),
        interface(hwAddr=MAC, addresses=["::1%lo/128"]),
        interface(hwAddr=MAC, addresses=["10.0.0.1/8"] * 4097),
        interface(hwAddr=MAC, name="eth%d"),
        interface(hwAddr=MAC, name="\u00e9" * 8),
        interface(hwAddr=MAC, name="eth\u2028"),
        interface(hwAddr=MAC, mtu=2**31),
    ],
)
def test_an_invalid_interface_is_refused(message: types_pb2.Interface) -> None:
    with pytest.raises(InvalidArgument):
        parse_interface_request(message)
