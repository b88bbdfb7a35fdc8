# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from tests.helpers.domain import open_sandbox, read_all, run
from tests.helpers.namespace import World, in_namespaces


@in_namespaces("v1", "v2")
async def test_container_writes_and_exits(world: World) -> None:
    async with open_sandbox() as sandbox:
        status, output = await run(
            sandbox, "c1", "sh", "-c", "echo out; echo err >&2; exit 7"
        )
        assert (status, output) == (7, b"out\n")
        assert await read_all(sandbox, "c1", stderr=True) == b"err\n"
        await sandbox.remove_container("c1")
        assert sandbox.containers == []
