# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import ipaddress

import pytest

from kata_host import network


def test_the_addresses_are_different_ones_of_one_network() -> None:
    subnet = ipaddress.ip_network(network.SUBNET)
    names = {network.ADDRESS, network.GATEWAY, network.NAME_SERVER}
    assert len(names) == 3
    assert all(ipaddress.ip_address(name) in subnet for name in names)


@pytest.mark.parametrize("name", network.NETWORKS)
def test_a_network_that_exists_is_taken(name: str) -> None:
    network.check_network(name)


def test_another_network_is_an_error() -> None:
    with pytest.raises(ValueError, match="network 'host': neither 'none' nor 'user'"):
        network.check_network("host")
