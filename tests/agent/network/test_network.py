# SPDX-License-Identifier: Apache-2.0
"""The rules that Network adds to those of its parts, which have their own tests."""

from __future__ import annotations

import asyncio

from kata_protos import types_pb2
from tests.helpers.namespace import World, in_namespaces
from tests.helpers.network import MAC, addresses, interface, open_network, routes


@in_namespaces("v2")
async def test_changes_at_once_happen_one_after_the_other(world: World) -> None:
    async with open_network() as network:
        # The routes need the address, which the request before them adds.
        await asyncio.gather(
            network.update_interface(
                interface(name="eth0", hwAddr=MAC, addresses=["10.1.0.2/24"])
            ),
            *(
                network.update_routes(
                    [types_pb2.Route(dest=f"10.{n}.0.0/16", gateway="10.1.0.9")]
                )
                for n in range(2, 6)
            ),
        )
        assert addresses("eth0") == ["10.1.0.2/24"]
        assert routes() == {
            f"dst 10.{n}.0.0/16 gateway 10.1.0.9 dev eth0" for n in range(2, 6)
        }
