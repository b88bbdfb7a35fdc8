# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kata_agent.errors import InvalidArgument
from kata_agent.network.address import (
    parse_address,
    parse_interface_name,
    parse_mac,
    parse_prefix,
)


@given(st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6)), st.data())
def test_networks_are_those_of_the_library(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address, data: st.DataObject
) -> None:
    length = data.draw(st.integers(0, address.max_prefixlen))
    text = f"{address}/{length}"
    network = parse_prefix(text).network
    expected = ipaddress.ip_network(text, strict=False)
    assert ipaddress.ip_network(str(network)) == expected
    assert parse_prefix(text).version == address.version


@given(st.text())
def test_every_accepted_text_is_one_word(text: str) -> None:
    for parse in (parse_address, parse_prefix, parse_mac, parse_interface_name):
        try:
            word = str(parse(text))  # type: ignore[operator]  # four functions at once
        except InvalidArgument:
            continue
        assert word.split() == [word]
        assert "#" not in word


@pytest.mark.parametrize("text", ["", "10.1", "10.0.0.1\0", "::g", "1.2.3.4/8", "0x1"])
def test_not_an_address(text: str) -> None:
    with pytest.raises(InvalidArgument):
        parse_address(text)


def test_the_short_form_of_an_address_is_used() -> None:
    assert parse_address("FD00:0:0::0001").address == "fd00::1"
    assert parse_mac("0A:00:00:00:00:FF") == "0a:00:00:00:00:ff"
