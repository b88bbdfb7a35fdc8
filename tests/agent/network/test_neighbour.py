# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Any

import pytest

from kata_agent.errors import Internal, InvalidArgument
from kata_agent.network.ip import Ip
from kata_agent.network.neighbour import add_neighbours
from kata_agent.reaper import Reaper
from kata_agent.reserve import Reserve
from kata_agent.system_paths import SystemPaths
from kata_protos import types_pb2
from tests.helpers.namespace import World, in_namespaces
from tests.helpers.network import ip, open_network, show

MAC = "6a:92:3a:59:70:aa"


def neighbour(address: str, **fields: Any) -> types_pb2.ARPNeighbor:
    fields = {"device": "veth0", "lladdr": MAC, **fields}
    return types_pb2.ARPNeighbor(
        toIPAddress=types_pb2.IPAddress(address=address), **fields
    )


def table() -> dict[str, tuple[str | None, list[str]]]:
    return {
        entry["dst"]: (entry.get("lladdr"), entry["state"])
        for entry in show("neighbour show nud all")
        if entry["dev"] == "veth0" and "NOARP" not in entry["state"]
    }


@in_namespaces("v2")
async def test_entries_are_permanent_and_replaced(world: World) -> None:
    async with open_network() as network:
        ip("link set dev veth0 up")
        other = "02:00:00:00:00:77"
        await network.add_neighbours([neighbour("169.254.1.1", lladdr=other)])
        await network.add_neighbours(
            [neighbour("169.254.1.1", state=0x80), neighbour("fd00::9")]
        )
        assert table() == {
            "169.254.1.1": (MAC, ["PERMANENT"]),
            "fd00::9": (MAC, ["PERMANENT"]),
        }


@in_namespaces("v2")
async def test_an_entry_that_fails_takes_back_the_others(world: World) -> None:
    async with open_network() as network:
        ip("link set dev veth0 up")
        ip("neighbour add 10.0.0.1 lladdr 02:00:00:00:00:77 dev veth0 nud permanent")
        before = table()
        with pytest.raises(Internal, match="nonesuch"):
            await network.add_neighbours(
                [
                    neighbour("10.0.0.1"),
                    neighbour("10.0.0.2"),
                    neighbour("10.0.0.3", device="nonesuch"),
                ]
            )
        assert table() == before


@in_namespaces("v2")
async def test_a_proxy(world: World) -> None:
    async with open_network() as network:
        await network.add_neighbours([neighbour("10.0.0.1", flags=0x08)])
        (entry,) = show("neighbour show proxy")
        assert (entry["dst"], entry["dev"]) == ("10.0.0.1", "veth0")


@pytest.mark.parametrize(
    "message",
    [
        types_pb2.ARPNeighbor(device="veth0"),
        neighbour("10.0.0"),
        neighbour("10.0.0.1", lladdr="nonsense"),
        neighbour("10.0.0.1", device="a b"),
        neighbour("10.0.0.1", device=""),
        neighbour("10.0.0.1", flags=0x40),
        neighbour("10.0.0.1", state=-1),
    ],
)
async def test_an_invalid_neighbour_is_refused(message: types_pb2.ARPNeighbor) -> None:
    with Reaper() as reaper, pytest.raises(InvalidArgument):
        await add_neighbours(Ip(reaper, SystemPaths(), Reserve()), [message])
