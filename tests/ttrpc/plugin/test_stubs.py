# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import subprocess
import sys
import types
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.wrappers_pb2 import BytesValue, UInt64Value

from tests.helpers.protoc import PEER, ROOT, request_for
from ttrpc import CallContext, Code, StatusError, bind
from ttrpc.aio import Server
from ttrpc.aio.testing import connected
from ttrpc.plugin.protoc import generate
from ttrpc.plugin.stubs import constant_name, local_names

ODD = r'''
syntax = "proto3";
package odd;
import "google/protobuf/empty.proto";
import "one/shared.proto";
import "two/shared.proto";

message Outer { message Inner { int32 x = 1; } }

// Ends in a "quote"
service HTTPThing {
  // A \ backslash and """three quotes""".
  //
  // A second paragraph.
  rpc Import (Outer.Inner) returns (google.protobuf.Empty);
  // Says "hi"
  rpc Both (one.Shared) returns (two.Shared);
  rpc Feed (stream one.Shared) returns (two.Shared);
}

service Nothing {}
'''
SHARED = 'syntax = "proto3"; package {0}; message Shared {{ int32 {0} = 1; }}'


@pytest.fixture
def odd(tmp_path: Path) -> Path:
    """A directory with a .proto that has every unusual case."""
    (tmp_path / "odd-name.proto").write_text(ODD)
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "shared.proto").write_text(SHARED.format(name))
    return tmp_path


def compile_python(root: Path) -> None:
    """Run protoc with the plugin itself, in place."""
    files = [str(path.relative_to(root)) for path in root.rglob("*.proto")]
    plugin = Path(sys.executable).parent / "protoc-gen-pyttrpc"
    subprocess.run(
        [
            *(sys.executable, "-m", "grpc_tools.protoc", f"-I{root}"),
            *(f"--python_out={root}", f"--pyi_out={root}", f"--pyttrpc_out={root}"),
            *(f"--plugin=protoc-gen-pyttrpc={plugin}", *files),
        ],
        check=True,
    )


@pytest.fixture(scope="module")
def peer() -> types.ModuleType:
    """The stubs of peer.proto, as a module."""
    (file,) = generate(request_for(PEER)).file
    assert file.name == "bench/ttrpc/peer_ttrpc.py"
    module = types.ModuleType("peer_ttrpc")
    exec(compile(file.content, file.name, "exec"), vars(module))
    return module


async def test_a_service_is_served_and_called_by_its_stubs(
    peer: types.ModuleType,
) -> None:
    class Echo(peer.EchoBase):  # type: ignore[misc, name-defined]
        def echo(self, request: BytesValue, context: CallContext) -> BytesValue:
            return request

        async def upload(self, stream: Any, context: CallContext) -> UInt64Value:
            return UInt64Value(value=len([message async for message in stream]))

        async def download(self, stream: Any, context: CallContext) -> None:
            request = await stream.recv()
            for size in range(request.value):
                await stream.send(BytesValue(value=bytes(size)))

    async with connected(Server([bind(peer.ECHO, Echo())])) as client:
        stub = peer.EchoClient(client)
        assert await stub.echo(BytesValue(value=b"hi")) == BytesValue(value=b"hi")
        async with await stub.upload(timeout=10) as stream:
            await stream.send(BytesValue())
            assert await stream.response() == UInt64Value(value=1)
        async with await stub.download(UInt64Value(value=3)) as stream:
            assert [len(message.value) async for message in stream] == [0, 1, 2]
        with pytest.raises(StatusError) as caught:
            await stub.plain(peer.peer_pb2.google_dot_protobuf_dot_empty__pb2.Empty())
        assert caught.value.code is Code.UNIMPLEMENTED


async def test_a_method_of_a_base_is_unimplemented(
    peer: types.ModuleType,
) -> None:
    base = peer.EchoBase()
    with pytest.raises(StatusError, match="UNIMPLEMENTED: method Echo"):
        base.echo(None, None)
    with pytest.raises(StatusError, match="UNIMPLEMENTED: method Upload"):
        await base.upload(None, None)


def test_comments_of_any_kind_are_docstrings(odd: Path) -> None:
    (file,) = generate(request_for("odd-name.proto", root=odd)).file
    assert file.name == "odd_name_ttrpc.py"
    code = compile(file.content, file.name, "exec", dont_inherit=True)
    constants = [it for it in code.co_consts if isinstance(it, types.CodeType)]
    (base,) = (it for it in constants if it.co_name == "HTTPThingBase")
    methods = {it.co_name: it for it in base.co_consts if hasattr(it, "co_name")}
    assert 'Ends in a "quote"' in base.co_consts
    assert methods["both"].co_consts[0] == 'Says "hi"'
    text = "A \\ backslash and '''three quotes'''.\n\n        A second paragraph.\n"
    assert methods["import_"].co_consts[0].startswith(text)


def test_modules_that_share_a_last_name_are_told_apart() -> None:
    modules = {"one.shared_pb2", "two.shared_pb2", "pets.cat_pb2"}
    assert local_names(modules) == {
        "one.shared_pb2": "one_shared_pb2",
        "two.shared_pb2": "two_shared_pb2",
        "pets.cat_pb2": "cat_pb2",
    }


def test_a_constant_has_a_constants_name() -> None:
    assert constant_name("AgentService") == "AGENT_SERVICE"
    assert constant_name("HTTPThing") == "HTTP_THING"


USE = """
from google.protobuf.empty_pb2 import Empty
from odd_name_pb2 import Outer
from odd_name_ttrpc import HTTPThingBase, HTTPThingClient, HTTPThingSyncClient
from one.shared_pb2 import Shared as One
from two.shared_pb2 import Shared as Two
from ttrpc import CallContext
from ttrpc.aio import Client, ServerStream
from ttrpc.sync import Client as SyncClient


class Thing(HTTPThingBase):
    def both(self, request: One, context: CallContext) -> Two:
        return Two(two=request.one)

    async def feed(self, stream: ServerStream[One, Two], context: CallContext) -> Two:
        return Two(two=sum([one.one async for one in stream]))


async def use(client: Client) -> tuple[Empty, Two]:
    stub = HTTPThingClient(client)
    stream = await stub.feed(timeout=1)
    await stream.send(One(one=1))
    return await stub.import_(Outer.Inner(x=1)), await stream.response()


def use_sync(client: SyncClient) -> Two:
    stub = HTTPThingSyncClient(client)
    with stub.feed(metadata={"key": "value"}) as stream:
        stream.send(One(one=1))
        return stream.response()
"""
MISUSE = """
async def misuse(client: Client) -> None:
    await HTTPThingClient(client).both(Two())
"""


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_stubs_are_typed(odd: Path) -> None:
    """Under `mypy --strict`, the right use passes and the wrong one fails."""
    compile_python(odd)
    (odd / "py.typed").touch()
    for name, source in (("use", USE), ("misuse", USE + MISUSE)):
        (odd / f"{name}.py").write_text(source)
    result = subprocess.run(
        [
            *(sys.executable, "-m", "mypy", "--strict", "--no-error-summary"),
            *("--follow-imports", "silent", "use.py", "misuse.py"),
            "odd_name_ttrpc.py",
        ],
        cwd=odd,
        env={"MYPYPATH": str(ROOT), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
    )
    assert not result.stderr
    # protoc's stubs of the imported files are not strict; their paths are absolute.
    (line,) = (it for it in result.stdout.splitlines() if not it.startswith("/"))
    assert line.startswith("misuse.py")
    assert 'has incompatible type "two.shared_pb2.Shared"' in line
