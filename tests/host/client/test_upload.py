# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import errno
import os
import socket
import stat
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from google.protobuf.empty_pb2 import Empty

from kata_host.client.upload import CHUNK, upload
from kata_protos import agent_pb2
from kata_protos.agent_ttrpc import AgentServiceBase, AgentServiceClient
from ttrpc.aio import Client, Server
from ttrpc.bound_service import bind
from ttrpc.call_context import CallContext
from ttrpc.errors import StatusError


class Copies(AgentServiceBase):
    """Keeps the files that arrive, in order; refuses names that contain `refused`."""

    def __init__(self) -> None:
        self.requests: list[agent_pb2.CopyFileRequest] = []
        self.change: Callable[[agent_pb2.CopyFileRequest], None] = lambda _: None

    async def copy_file(
        self, request: agent_pb2.CopyFileRequest, context: CallContext
    ) -> Empty:
        if "refused" in request.path:
            raise PermissionError(request.path)
        self.requests.append(request)
        self.change(request)
        return Empty()

    def names(self) -> list[str]:
        return [request.path for request in self.requests]

    def content(self, name: str) -> bytes:
        parts = [request for request in self.requests if request.path == name]
        assert [part.offset for part in parts] == sorted(part.offset for part in parts)
        assert parts[-1].offset + len(parts[-1].data) == parts[-1].file_size
        return b"".join(part.data for part in parts)


@pytest.fixture
def copies() -> Copies:
    return Copies()


@pytest.fixture
async def agent(copies: Copies, tmp_path: Path) -> AsyncIterator[AgentServiceClient]:
    service = agent_pb2.DESCRIPTOR.services_by_name["AgentService"]
    server = Server([bind(service, copies)])
    await server.listen(f"unix://{tmp_path}/s")
    async with await Client.connect(f"unix://{tmp_path}/s") as client:
        yield AgentServiceClient(client)
    await server.shutdown(timeout=5)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "tree"
    (root / "bin/deep").mkdir(parents=True)
    (root / "bin/small").write_bytes(b"hello")
    (root / "bin/small").chmod(0o751)
    (root / "bin/empty").touch()
    (root / "bin/deep/big").write_bytes(os.urandom(2 * CHUNK + 7))
    (root / "link").symlink_to("bin/small")
    (root / "to-directory").symlink_to("bin")
    os.mkfifo(root / "fifo")
    return root


async def test_a_tree_arrives_whole(
    agent: AgentServiceClient, copies: Copies, tree: Path
) -> None:
    assert await upload(agent, tree, "/t") == [tree / "fifo"]
    for name in ("bin/small", "bin/empty", "bin/deep/big"):
        assert copies.content(f"/t/{name}") == (tree / name).read_bytes()
    assert copies.content("/t/link") == b"bin/small"
    assert copies.content("/t/to-directory") == b"bin"
    assert "/t/fifo" not in copies.names()
    modes = {request.path: request.file_mode for request in copies.requests}
    assert modes["/t/bin/small"] == stat.S_IFREG | 0o751
    assert stat.S_ISLNK(modes["/t/link"])
    assert stat.S_ISDIR(modes["/t"])


async def test_a_directory_comes_before_its_entries(
    agent: AgentServiceClient, copies: Copies, tree: Path
) -> None:
    await upload(agent, tree, "/t")
    names = copies.names()
    assert names[0] == "/t"
    assert names.index("/t/bin") < names.index("/t/bin/deep")
    assert names.index("/t/bin/deep") < names.index("/t/bin/deep/big")


async def test_a_single_file_is_copied_too(
    agent: AgentServiceClient, copies: Copies, tree: Path
) -> None:
    await upload(agent, tree / "bin/small", "/t/file")
    assert copies.content("/t/file") == b"hello"


async def test_a_refusal_ends_the_upload(agent: AgentServiceClient, tree: Path) -> None:
    (tree / "refused").touch()
    with pytest.RaisesGroup(StatusError):
        await upload(agent, tree, "/t")


async def test_what_copyfile_does_not_know_is_returned(
    agent: AgentServiceClient, copies: Copies, tree: Path
) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tree / "socket"))
    left_out = await upload(agent, tree, "/t")
    assert sorted(left_out) == [tree / "fifo", tree / "socket"]
    assert await upload(agent, tree / "fifo", "/fifo") == [tree / "fifo"]
    assert not {"/t/fifo", "/t/socket", "/fifo"} & set(copies.names())


async def test_a_name_that_is_not_utf_8_is_named(
    agent: AgentServiceClient, tree: Path
) -> None:
    (tree / "bin" / os.fsdecode(b"bad\xff")).touch()
    with pytest.raises(OSError, match="name is not UTF-8") as raised:
        await upload(agent, tree, "/t")
    assert raised.value.filename == os.fsencode(tree) + b"/bin/bad\xff"


async def test_a_directory_that_cannot_be_read_is_an_error(
    agent: AgentServiceClient, tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scandir = os.scandir

    def refuse(path: str) -> object:
        if path.endswith("deep"):
            raise PermissionError(errno.EACCES, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(PermissionError, match="deep"):
        await upload(agent, tree, "/t")


async def test_a_file_that_changes_while_it_is_copied_is_named(
    agent: AgentServiceClient, copies: Copies, tree: Path
) -> None:
    small, big = tree / "bin/small", tree / "bin/deep/big"

    def fault(group: BaseExceptionGroup[BaseException]) -> str:
        error = group.exceptions[0]
        assert isinstance(error, OSError)
        return f"{error.filename}: {error.strerror}"

    def change(request: agent_pb2.CopyFileRequest) -> None:
        if request.path == "/t/bin/deep/big":
            os.truncate(big, CHUNK + 1)
        if request.path == "/fifo/bin":
            small.unlink()
            os.mkfifo(small)
        if request.path == "/link/bin":
            small.unlink()
            small.symlink_to("/etc/passwd")

    copies.change = change
    with pytest.raises(ExceptionGroup) as shorter:
        await upload(agent, tree, "/t")
    assert fault(shorter.value) == f"{big}: has become shorter while it was copied"
    with pytest.raises(ExceptionGroup) as another:
        await upload(agent, tree, "/fifo")
    assert fault(another.value) == f"{small}: has changed while it was copied"
    small.unlink()
    small.touch()
    with pytest.raises(ExceptionGroup) as another:
        await upload(agent, tree, "/link")
    assert fault(another.value) == f"{small}: {os.strerror(errno.ELOOP)}"


async def test_a_file_without_a_size_is_copied_whole(
    agent: AgentServiceClient, copies: Copies
) -> None:
    await upload(agent, Path("/proc/version"), "/version")
    assert copies.content("/version") == Path("/proc/version").read_bytes()


async def test_only_names_that_the_guest_gets_have_to_be_utf_8(
    agent: AgentServiceClient, copies: Copies, tmp_path: Path
) -> None:
    above = tmp_path / os.fsdecode(b"above\xff")
    above.mkdir()
    (above / "file").write_bytes(b"x")
    await upload(agent, above, "/good")
    assert copies.content("/good/file") == b"x"
