# SPDX-License-Identifier: Apache-2.0
"""A real sandbox with the real runtime, for tests inside `in_namespaces`."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path

import pytest

from kata_agent.container.container import Container
from kata_agent.container.stream_source import StreamSource
from kata_agent.oci.spec import Spec
from kata_agent.options.config import Config
from kata_agent.reaper import Reaper
from kata_agent.reserve import Reserve
from kata_agent.runtime.registry import to_runtime
from kata_agent.sandbox.guest import Guest
from kata_agent.sandbox.sandbox import Sandbox
from kata_agent.system_paths import SystemPaths
from kata_protos import agent_pb2

ROOTFS = Path("/run/rootfs")
BUSYBOX = Path("/bin/busybox")
APPLETS = "sh cat echo sleep true false id tty stty yes head sha256sum ps mknod dd ls"


class NoStorages:
    """Mounts nothing; records the containers whose storages were released."""

    def __init__(self) -> None:
        self.removed: list[str] = []

    def claim_bundle(self, container_id: str, root: str) -> None:
        return

    async def add(
        self, messages: Sequence[agent_pb2.Storage], container_id: str | None
    ) -> list[str]:
        return []

    async def update_ephemeral(self, messages: Sequence[agent_pb2.Storage]) -> None:
        assert not messages

    async def remove_for(self, container_id: str) -> None:
        self.removed.append(container_id)

    async def take_back(self, container_id: str) -> None:
        await self.remove_for(container_id)

    def is_used_by(self, container_id: str) -> bool:
        return False

    async def remove_all(self) -> None:
        return


class NoDevices:
    """Accepts no device."""

    async def add(
        self, messages: Sequence[agent_pb2.Device], spec: Spec
    ) -> Mapping[str, str]:
        assert not messages
        return {}


@contextlib.asynccontextmanager
async def open_sandbox(
    config: Config | None = None,
    *,
    runtime: str = "crun",
    streams: StreamSource | None = None,
) -> AsyncIterator[Sandbox]:
    """Create a sandbox, yield it, and destroy it at the end."""
    make_rootfs()
    paths = SystemPaths()
    with Reaper() as reaper:
        sandbox = Sandbox(
            Guest(
                config or Config(),
                paths,
                reaper,
                to_runtime(runtime, reaper=reaper, state=paths.runtime),
                NoStorages(),
                NoDevices(),
                Reserve(),
                streams,
            )
        )
        await sandbox.create(agent_pb2.CreateSandboxRequest(sandbox_id="sandbox"))
        try:
            yield sandbox
        finally:
            await sandbox.destroy()


def make_rootfs(rootfs: Path = ROOTFS) -> Path:
    """Make a root file system of busybox."""
    if shutil.which("crun") is None or not BUSYBOX.exists():
        if os.environ.get("CI"):
            pytest.fail("needs crun and busybox-static")
        pytest.skip("needs crun and busybox-static")
    for directory in ("bin", "etc", "proc", "sys", "dev", "tmp", "root"):
        (rootfs / directory).mkdir(parents=True, exist_ok=True)
    (rootfs / "tmp").chmod(0o1777)
    shutil.copy2(BUSYBOX, rootfs / "bin" / "busybox")
    for applet in APPLETS.split():
        with contextlib.suppress(FileExistsError):
            (rootfs / "bin" / applet).symlink_to("busybox")
    (rootfs / "etc" / "passwd").write_text(
        "root:x:0:0:root:/root:/bin/sh\nuser:x:1000:1000::/home/user:/bin/sh\n"
    )
    (rootfs / "etc" / "group").write_text(
        "root:x:0:\nuser:x:1000:\nextra:x:2000:user\n"
    )
    return rootfs


def container_request(
    container_id: str, *args: str, terminal: bool = False
) -> agent_pb2.CreateContainerRequest:
    """Return a request for a container that runs `args` on the busybox root."""
    request = agent_pb2.CreateContainerRequest(container_id=container_id)
    spec = request.OCI
    spec.Version = "1.0.2"
    spec.Process.Args.extend(args)
    spec.Process.Env.append("PATH=/bin")
    spec.Process.Cwd = "/"
    spec.Process.Terminal = terminal
    spec.Root.Path = str(ROOTFS)
    spec.Linux.SetInParent()
    for kind in ("mount", "ipc", "uts"):
        spec.Linux.Namespaces.add(Type=kind)
    return request


def exec_request(
    container_id: str, exec_id: str, *args: str, terminal: bool = False
) -> agent_pb2.ExecProcessRequest:
    """Return a request for a process that runs `args` in a container."""
    request = agent_pb2.ExecProcessRequest(container_id=container_id, exec_id=exec_id)
    request.process.Args.extend(args)
    request.process.Env.append("PATH=/bin")
    request.process.Terminal = terminal
    return request


async def read_all(
    sandbox: Sandbox, container_id: str, exec_id: str = "", *, stderr: bool = False
) -> bytes:
    """Read a stream to its end."""
    processes = sandbox.container(container_id).processes
    chunks = []
    while chunk := await processes.read(exec_id, stderr=stderr, limit=1 << 16):
        chunks.append(chunk)
    return b"".join(chunks)


async def run(sandbox: Sandbox, container_id: str, *args: str) -> tuple[int, bytes]:
    """Create, start, read and wait for a container; return its status and stdout."""
    await sandbox.create_container(container_request(container_id, *args))
    await sandbox.start_container(container_id)
    output = await read_all(sandbox, container_id)
    return await sandbox.container(container_id).processes.wait(""), output


async def started(sandbox: Sandbox, container_id: str, *args: str) -> Container:
    """Create and start a container."""
    await sandbox.create_container(container_request(container_id, *args))
    await sandbox.start_container(container_id)
    return sandbox.container(container_id)


async def output_of(sandbox: Sandbox, request: agent_pb2.CreateContainerRequest) -> str:
    """Run a container to its end and remove it; return its stdout and stderr."""
    await sandbox.create_container(request)
    await sandbox.start_container(request.container_id)
    output = (await read_all(sandbox, request.container_id)).decode()
    output += (await read_all(sandbox, request.container_id, stderr=True)).decode()
    await sandbox.remove_container(request.container_id)
    return output
