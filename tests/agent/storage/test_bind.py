# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import os
from pathlib import Path

import pytest

from kata_agent.errors import NotFound
from kata_agent.linux.mountinfo import read_mounts
from kata_agent.storage import bind
from kata_protos.agent_pb2 import Storage
from tests.helpers.drivers import open_context
from tests.helpers.namespace import World, in_namespaces

SOURCE, POINT = Path("/run/source"), Path("/run/kata-containers/volume")


def request(source: Path = SOURCE, *options: str) -> Storage:
    """A bind without a file system type, as some hosts ask for it."""
    return Storage(source=str(source), mount_point=str(POINT), options=options)


@in_namespaces("v2")
async def test_a_directory_is_bound_without_the_option_bind(world: World) -> None:
    (SOURCE / "inner").mkdir(parents=True)
    async with open_context() as context:
        await bind.add(request(), context)
        assert os.listdir(POINT) == ["inner"]
    assert not POINT.exists()


@in_namespaces("v2")
async def test_a_file_is_bound_read_only(world: World) -> None:
    SOURCE.write_text("text")
    async with open_context() as context:
        await bind.add(request(SOURCE, "ro"), context)
        assert POINT.read_text() == "text"
        with pytest.raises(OSError, match="Read-only"):
            POINT.write_text("other")
    assert SOURCE.read_text() == "text"


@in_namespaces("v2")
async def test_rbind_takes_the_mounts_below_along(world: World) -> None:
    SOURCE.mkdir()
    async with open_context() as context:
        inner = Storage(source="/proc", mount_point=f"{POINT.parent}/inner")
        await bind.add(inner, context)
        await bind.add(request(POINT.parent, "rbind"), context)
        points = [m.point for m in read_mounts(Path("/proc/self/mountinfo"))]
        assert f"{POINT}/inner" in points


@in_namespaces("v2")
async def test_a_missing_source_is_named(world: World) -> None:
    async with open_context() as context:
        with pytest.raises(NotFound, match="source '/run/source': no such file"):
            await bind.add(request(), context)
    assert not POINT.exists()
