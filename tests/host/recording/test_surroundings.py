# SPDX-License-Identifier: Apache-2.0
"""A replay prepares what the host of a session had: seen by what an agent is sent."""

from __future__ import annotations

import contextlib
import stat
import tempfile
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest
from google.protobuf.empty_pb2 import Empty
from google.protobuf.message import Message

from kata_host.client.upload import SHARED
from kata_host.recording.surroundings import Surroundings
from kata_protos import agent_pb2
from kata_protos.agent_ttrpc import AGENT_SERVICE
from ttrpc.aio import Client, Server
from ttrpc.bound_service import bind
from ttrpc.call_context import CallContext

METHODS = AGENT_SERVICE.methods


class Agent:
    """Notes the files that are copied and the containers that are removed."""

    def __init__(self) -> None:
        self.copied: dict[str, int] = {}
        self.removed: list[str] = []

    async def copy_file(
        self, request: agent_pb2.CopyFileRequest, context: CallContext
    ) -> Empty:
        self.copied[request.path] = request.file_mode
        return Empty()

    async def remove_container(
        self, request: agent_pb2.RemoveContainerRequest, context: CallContext
    ) -> Empty:
        self.removed.append(request.container_id)
        return Empty()

    async def read_stdout(
        self, request: agent_pb2.ReadStreamRequest, context: CallContext
    ) -> agent_pb2.ReadStreamResponse:
        return agent_pb2.ReadStreamResponse()

    read_stderr = read_stdout


@contextlib.asynccontextmanager
async def surroundings(
    agent: Agent, requests: Sequence[Message]
) -> AsyncIterator[Surroundings]:
    with tempfile.TemporaryDirectory() as directory:
        server = Server([bind(AGENT_SERVICE, agent)])
        await server.listen(f"unix://{directory}/agent.sock")
        async with await Client.connect(f"unix://{directory}/agent.sock") as client:
            made = Surroundings(client, requests)
            yield made
            await made.close()
        await server.shutdown(1)


def creation() -> agent_pb2.CreateContainerRequest:
    """A container as runtime-rs asks for one, with a ConfigMap and an emptyDir."""
    request = agent_pb2.CreateContainerRequest(container_id="c1")
    request.OCI.Root.Path = f"{SHARED}/passthrough/c1/rootfs"
    request.OCI.Process.Args.extend(["sh", "-c", "cat /config/key; ls /config/../x"])
    request.storages.add(
        driver="watchable-bind",
        source=f"{SHARED}/passthrough/cm",
        mount_point=f"{SHARED}/passthrough/watchable/cm",
    )
    for source, destination in (
        ("passthrough/watchable/cm", "/config"),
        ("passthrough/e1", "/cache"),
        ("passthrough/hosts", "/etc/hosts"),
        ("copied-by-the-session", "/etc/hostname"),
    ):
        request.OCI.Mounts.add(
            source=f"{SHARED}/{source}", destination=destination, options=["rbind"]
        )
    request.OCI.Mounts.add(source="/run/other", destination="/o", options=["rbind"])
    return request


async def test_the_files_of_a_share_are_brought(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "init").write_text("")
    monkeypatch.setenv("KATA_REPLAY_ROOTFS", str(tmp_path))
    agent = Agent()
    own = agent_pb2.CopyFileRequest(path=f"{SHARED}/copied-by-the-session")
    request = creation()
    async with surroundings(agent, [own, request]) as made:
        assert await made.prepare(METHODS["CreateContainer"], request) is request
        brought = {
            path.removeprefix(f"{SHARED}/passthrough/"): stat.S_ISDIR(mode)
            for path, mode in agent.copied.items()
        }
        assert brought == {
            "c1/rootfs": True,
            "c1/rootfs/init": False,
            "cm": True,
            "cm/key": False,
            "e1": True,
            "hosts": False,
        }
        agent.copied.clear()
        await made.prepare(METHODS["CreateContainer"], request)
        assert not agent.copied, "brought once"


async def test_the_share_itself_is_left_out() -> None:
    request = agent_pb2.CreateSandboxRequest(sandbox_id="s")
    request.storages.add(driver="virtio-fs", source="kataShared")
    request.storages.add(driver="ephemeral", source="shm")
    async with surroundings(Agent(), [request]) as made:
        sent = await made.prepare(METHODS["CreateSandbox"], request)
    assert isinstance(sent, agent_pb2.CreateSandboxRequest)
    assert [storage.driver for storage in sent.storages] == ["ephemeral"]
    assert len(request.storages) == 2


async def test_a_new_sandbox_begins_without_the_containers_of_the_last() -> None:
    agent = Agent()
    async with surroundings(agent, []) as made:
        for name in ("c1", "c2", "c3"):
            made.succeeded(
                METHODS["CreateContainer"],
                agent_pb2.CreateContainerRequest(container_id=name),
            )
        removal = agent_pb2.RemoveContainerRequest(container_id="c2")
        made.succeeded(METHODS["RemoveContainer"], removal)
        await made.prepare(
            METHODS["CreateSandbox"], agent_pb2.CreateSandboxRequest(sandbox_id="s")
        )
    assert agent.removed == ["c3", "c1"]


async def test_recorded_reads_are_left_out() -> None:
    async with surroundings(Agent(), []) as made:
        read = agent_pb2.ReadStreamRequest(container_id="c1")
        assert await made.prepare(METHODS["ReadStdout"], read) is None
        start = agent_pb2.StartContainerRequest(container_id="c1")
        made.succeeded(METHODS["StartContainer"], start)
