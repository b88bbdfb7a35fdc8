# SPDX-License-Identifier: Apache-2.0
"""The field of Kata 1.x that shares its number with one of 4.x."""

from __future__ import annotations

import os

from kata_agent.device.hotplug import Hotplug
from kata_agent.device.uevents import Uevents
from kata_agent.rpc.execution import ExecutionService, _wants_agent_pid
from kata_agent.rpc.guest import GuestService
from kata_agent.system_paths import SystemPaths
from kata_protos import agent_pb2
from tests.helpers.domain import open_sandbox
from tests.helpers.namespace import World, in_namespaces
from tests.helpers.served import served


def test_agent_pidns_of_1x_is_seen_in_the_number_that_4x_gave_away() -> None:
    request = agent_pb2.CreateContainerRequest(container_id="c1")
    assert not _wants_agent_pid(request)
    # Field 8 as a varint, as a 1.x runtime sends its bool.
    request.MergeFromString(b"\x40\x01")
    assert request.container_id == "c1"
    assert not request.shared_mounts
    assert _wants_agent_pid(request)
    off = agent_pb2.CreateContainerRequest.FromString(b"\x40\x00")
    assert not _wants_agent_pid(off)
    shared = agent_pb2.CreateContainerRequest()
    shared.shared_mounts.add(name="x")
    again = agent_pb2.CreateContainerRequest.FromString(shared.SerializeToString())
    assert not _wants_agent_pid(again)


@in_namespaces("v2")
async def test_destroy_sandbox_removes_the_files_that_are_half_copied(
    world: World,
) -> None:
    paths = SystemPaths()
    hotplug = Hotplug(paths, Uevents(paths), 1)
    async with open_sandbox() as sandbox:
        guest = GuestService(sandbox, hotplug, device_handlers=(), storage_handlers=())
        async with served(ExecutionService(sandbox), guest) as agent:
            for name, size in (("half", 8), ("whole", 4)):
                await agent.copy_file(
                    agent_pb2.CopyFileRequest(
                        path=f"{paths.shared}/{name}",
                        file_size=size,
                        file_mode=0o100644,
                        data=b"data",
                    )
                )
            assert len(os.listdir(paths.shared)) == 2
            await agent.destroy_sandbox(agent_pb2.DestroySandboxRequest())
            assert os.listdir(paths.shared) == ["whole"]
