# SPDX-License-Identifier: Apache-2.0
"""A mount of one container in another."""

from __future__ import annotations

import pytest

from kata_agent.errors import InvalidArgument
from kata_agent.sandbox import shared_mount
from kata_agent.sandbox.sandbox import Sandbox
from kata_protos import agent_pb2
from tests.helpers.domain import (
    container_request,
    exec_request,
    open_sandbox,
    read_all,
    started,
)
from tests.helpers.namespace import World, in_namespaces


def request(**fields: str) -> agent_pb2.CreateContainerRequest:
    """Return a request for a container that shows the files of `/guest/volume`."""
    message = container_request("target", "sh", "-c", "cat /guest/volume/*")
    message.shared_mounts.add(
        **{
            "name": "volume",
            "src_ctr": "source",
            "src_path": "/export",
            "dst_ctr": "target",
            "dst_path": "/guest/volume",
            **fields,
        }
    )
    return message


async def start_source(sandbox: Sandbox) -> None:
    """Start a container with a tmpfs that has another one inside."""
    source = container_request("source", "sleep", "1000")
    for destination in ("/export", "/export/inner"):
        source.OCI.Mounts.add(destination=destination, type="tmpfs", source="tmpfs")
    await sandbox.create_container(source)
    await sandbox.start_container("source")
    words = "echo one > /export/a; echo two > /export/inner/b"
    await sandbox.exec_process(exec_request("source", "e", "sh", "-c", words))
    await sandbox.container("source").processes.wait("e")


@in_namespaces("v1")
async def test_another_container_sees_the_mount_and_those_below(
    world: World,
) -> None:
    async with open_sandbox() as sandbox:
        await start_source(sandbox)
        message = request()
        message.OCI.Process.Args[2] = "cd /guest/volume; cat a inner/b; echo 3 > c"
        await sandbox.create_container(message)
        await sandbox.start_container("target")
        assert await read_all(sandbox, "target") == b"one\ntwo\n"
        await sandbox.container("target").processes.wait("")
        await sandbox.remove_container("target")
        # The source still has the mount, and sees the new file.
        await sandbox.exec_process(exec_request("source", "e", "cat", "/export/c"))
        assert await read_all(sandbox, "source", "e") == b"3\n"


@pytest.mark.parametrize(
    "annotation",
    ["io.kubernetes.cri.container-name", "io.kubernetes.cri-o.ContainerName"],
)
@in_namespaces("v1")
async def test_a_source_is_named_as_in_kubernetes(
    world: World, annotation: str
) -> None:
    """runtime-rs sends the names of its configuration, which are not ids."""
    async with open_sandbox() as sandbox:
        # A container that has been restarted has the same name as before.
        for name in ("old", "source"):
            source = container_request(name, "sleep", "1000" if name != "old" else "0")
            source.OCI.Annotations[annotation] = "sidecar"
            source.OCI.Mounts.add(destination="/export", type="tmpfs", source="tmpfs")
            await sandbox.create_container(source)
            await sandbox.start_container(name)
        await sandbox.container("old").processes.wait("")
        other = container_request("newer", "sleep", "1000")
        other.OCI.Annotations[annotation] = "other"
        await sandbox.create_container(other)
        words = exec_request("source", "e", "sh", "-c", "echo one > /export/a")
        await sandbox.exec_process(words)
        await sandbox.container("source").processes.wait("e")
        message = request(src_ctr="sidecar")
        # Its own name is no other container's.
        message.OCI.Annotations[annotation] = "sidecar"
        await sandbox.create_container(message)
        await sandbox.start_container("target")
        assert await read_all(sandbox, "target") == b"one\n"


def skipped(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return the reasons of the warnings so far."""
    records = [r for r in caplog.records if r.message == "shared mount skipped"]
    return [vars(record)["error"] for record in records]


@in_namespaces("v1")
async def test_a_source_that_is_not_ready_is_skipped(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """runtime-rs sends the same list for every pod; the Rust agent skips these."""
    shared_mount.WAIT_SECONDS = 0.05  # type: ignore[misc]  # final, but for the test
    async with open_sandbox() as sandbox:
        await started(sandbox, "source", "sleep", "1000")
        await started(sandbox, "ended", "true")
        await sandbox.container("ended").processes.wait("")
        message = request()
        message.OCI.Process.Args[2] = "ls /guest; echo here"
        message.shared_mounts.add().CopyFrom(message.shared_mounts[0])
        message.shared_mounts[1].src_ctr = "ended"
        message.shared_mounts.add().CopyFrom(message.shared_mounts[0])
        message.shared_mounts[2].src_ctr = "unknown"
        await sandbox.create_container(message)
        await sandbox.start_container("target")
        assert await read_all(sandbox, "target") == b"here\n"
        assert skipped(caplog) == [
            "shared mount 'volume': nothing mounted on '/export' "
            "of container 'source' within 0.05 s",
            "container 'ended': its init does not run",
            "shared mount 'volume': no container 'unknown'",
        ]


@in_namespaces("v1")
async def test_a_path_cannot_lead_out_of_its_container(world: World) -> None:
    async with open_sandbox() as sandbox:
        await start_source(sandbox)
        for fields in ({"src_path": "export"}, {"dst_path": "/a/../b"}):
            with pytest.raises(InvalidArgument, match="shared mount 'volume': path"):
                await sandbox.create_container(request(**fields))
        # A link to the guest's root stays inside of the container.
        link = ["busybox", "ln", "-s", "/proc/1/root", "/link"]
        await sandbox.exec_process(exec_request("source", "e", *link))
        await sandbox.container("source").processes.wait("e")
        message = request(dst_path="/link/guest/volume")
        with pytest.raises(OSError, match="link"):
            await sandbox.create_container(message)
