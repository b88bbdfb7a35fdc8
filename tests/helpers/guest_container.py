# SPDX-License-Identifier: Apache-2.0
"""Containers in a guest with storages, devices and mounts, for the tests in VMs."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Final

from kata_host.client import AgentClient, GuestContainer, Result
from kata_host.client.spec import default_process, default_spec, writable_layer
from kata_protos import agent_pb2, oci_pb2
from kata_protos.agent_pb2 import Device, Storage
from kata_protos.oci_pb2 import LinuxDevice, LinuxDeviceCgroup
from tests.helpers.plug import new_name

STORAGE: Final = "/run/kata-containers/sandbox/storage"
VOLUME: Final = "/volume"
"""Where the first storage of a container is mounted in it."""


def request(
    script: str,
    *,
    storages: Sequence[Storage] = (),
    devices: Sequence[Device] = (),
    nodes: Sequence[LinuxDevice] = (),
    rules: Sequence[LinuxDeviceCgroup] = (),
    mounts: Sequence[oci_pb2.Mount] = (),
    env: Mapping[str, str] | None = None,
    cpus: str = "",
) -> agent_pb2.CreateContainerRequest:
    """A container that runs a shell script on a layer over the guest's own root.

    Without `rules`, the agent writes those of the cgroup, as for Kata's runtimes.
    """
    name = new_name("container-")
    layer, root = writable_layer(name, "/")
    binds = list(mounts)
    if storages and not binds:
        binds = [bind(storages[0].mount_point)]
    process = default_process(["sh", "-c", script], env=env)
    spec = default_spec(name, process, rootfs=root, mounts=binds)
    spec.Linux.Devices.extend(nodes)
    del spec.Linux.Resources.Devices[:]
    spec.Linux.Resources.Devices.extend(rules)
    spec.Linux.Resources.CPU.Cpus = cpus
    return agent_pb2.CreateContainerRequest(
        container_id=name,
        exec_id=name,
        OCI=spec,
        storages=[*storages, layer],
        devices=devices,
        sandbox_pidns=True,
    )


def bind(source: str, destination: str = VOLUME) -> oci_pb2.Mount:
    """A mount of a container: a storage's place at one of its own."""
    return oci_pb2.Mount(
        source=source, destination=destination, type="bind", options=["rbind"]
    )


@contextlib.asynccontextmanager
async def started(
    client: AgentClient, message: agent_pb2.CreateContainerRequest
) -> AsyncIterator[GuestContainer]:
    """Create and start a container for the block, and remove it after."""
    await client.agent.create_container(message)
    container = client.container(message.container_id)
    try:
        await container.start()
        yield container
    finally:
        await container.remove()


async def run(client: AgentClient, message: agent_pb2.CreateContainerRequest) -> Result:
    """Run a container to its end."""
    async with started(client, message) as container:
        return await container.init.communicate()


async def output(client: AgentClient, message: agent_pb2.CreateContainerRequest) -> str:
    """Run a container that must succeed; return its output."""
    result = await run(client, message)
    assert result.status == 0, result
    return result.stdout.decode()


async def inside(client: AgentClient, container: GuestContainer, script: str) -> str:
    """Run a script that must succeed in a running container."""
    process = default_process(["sh", "-c", script])
    result = await (await container.exec(new_name("exec-"), process)).communicate()
    assert result.status == 0, result
    return result.stdout.decode()
