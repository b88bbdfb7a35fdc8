# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import os
import shutil

import pytest

from kata_agent.errors import InvalidArgument, NotFound
from kata_agent.network.iptables import Iptables
from kata_agent.reaper import Reaper
from kata_agent.reserve import Reserve
from tests.helpers.namespace import World, in_namespaces
from tests.helpers.network import open_network

RULES = b"""*filter
:INPUT ACCEPT [0:0]
:FORWARD ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
-A INPUT -p tcp -m tcp --dport 22 -j DROP
COMMIT
"""


def require_iptables() -> None:
    if shutil.which("iptables-save") is None:
        if os.environ.get("CI"):
            pytest.fail("needs iptables")
        pytest.skip("needs iptables")


@in_namespaces("v2")
async def test_rules_are_set_for_one_family_and_read_back(world: World) -> None:
    require_iptables()
    async with open_network() as network:
        for is_ipv6 in (False, True):
            await network.set_tables(RULES, is_ipv6=is_ipv6)
            got = await network.get_tables(is_ipv6=is_ipv6)
            assert b"--dport 22 -j DROP" in got
            other = await network.get_tables(is_ipv6=not is_ipv6)
            assert (b"--dport 22" in other) is is_ipv6


@in_namespaces("v2")
async def test_rules_that_are_refused_change_nothing(world: World) -> None:
    require_iptables()
    async with open_network() as network:
        await network.set_tables(RULES, is_ipv6=False)
        # The first table is fine, and in place when the second is refused.
        rules = RULES.replace(b"22", b"33") + b"*nat\n-A NONESUCH -j DROP\nCOMMIT\n"
        with pytest.raises(InvalidArgument, match="iptables-restore"):
            await network.set_tables(rules, is_ipv6=False)
        got = await network.get_tables(is_ipv6=False)
        assert b"--dport 22" in got
        assert b"--dport 33" not in got


@in_namespaces("v2")
async def test_tables_of_a_refused_request_are_emptied(world: World) -> None:
    require_iptables()
    async with open_network() as network:
        assert await network.get_tables(is_ipv6=False) == b""
        rules = RULES.replace(b":INPUT ACCEPT", b":MINE - [0:0]\n:INPUT DROP")
        rules += b"*nat\n-A NONESUCH -j DROP\nCOMMIT\n"
        with pytest.raises(InvalidArgument, match="iptables-restore"):
            await network.set_tables(rules, is_ipv6=False)
        got = (await network.get_tables(is_ipv6=False)).decode().splitlines()
        assert [line for line in got if line[0] in ":-"] == [
            ":INPUT ACCEPT [0:0]",
            ":FORWARD ACCEPT [0:0]",
            ":OUTPUT ACCEPT [0:0]",
        ]


async def test_a_guest_without_iptables_is_an_error_that_names_the_program() -> None:
    with Reaper() as reaper:
        with pytest.raises(NotFound, match="nonesuch-save"):
            await Iptables(reaper, "nonesuch", Reserve()).read()
