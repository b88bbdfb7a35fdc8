# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import ast
import inspect
import os
import re
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

ODD = r'''
syntax = "proto3";
package odd;
import "google/protobuf/empty.proto";
import "github.com/pets/big-cat.v1.proto";
import "from/shared.proto";
import "one/shared.proto";
import "two/shared.proto";

message Outer { message Inner { int32 x = 1; } }

// Ends in a "quote"
service HTTPThing {
  // A \ backslash and """three quotes""".
  //
  // A second paragraph.
  rpc Import (Outer.Inner) returns (google.protobuf.Empty);
  rpc Both (one.Shared) returns (two.Shared);  // Says "hi"
  rpc Feed (stream one.Shared) returns (two.Shared);
  rpc Watch (one.Shared) returns (stream pets.Cat);
  rpc Foreign (pets.Cat) returns (from.it.Shared);
}

// Names that the file, its imports or its classes have too.
service Echo {
  rpc Float (pets.Cat) returns (pets.Cat);
  rpc _client (pets.Cat) returns (pets.Cat);
  rpc Unimplemented (pets.Cat) returns (pets.Cat);
  rpc v1_pb2 (pets.Cat) returns (pets.Cat);
  rpc Deprecated (pets.Cat) returns (pets.Cat) { option deprecated = true; }
  rpc Older (pets.Cat) returns (stream pets.Cat) { option deprecated = true; }
}
service EchoSync { rpc Call (pets.Cat) returns (pets.Cat); }
service Sync { option deprecated = true; rpc Sync (pets.Cat) returns (pets.Cat); }
service TypeChecking { rpc Self (pets.Cat) returns (pets.Cat); }
service type_checking { rpc Self (pets.Cat) returns (pets.Cat); }
service __Private { rpc Class (pets.Cat) returns (pets.Cat); }
service _ { rpc Print (pets.Cat) returns (pets.Cat); }
service None {}
'''
SHARED = """
syntax = "proto3"; package {package};
message Shared {{ int32 {field} = 1; }}
service Thing {{ rpc Same (Shared) returns (Shared); }}
"""
KEYWORDS = """
syntax = "proto3"; package keywords;
message None { int32 x = 1; message in {} }
service Words { rpc None (.keywords.None) returns (.keywords.None.in); }
"""


@pytest.fixture
def odd(tmp_path: Path) -> Path:
    """A directory with .protos that have every unusual case."""
    (tmp_path / "odd-name.proto").write_text(ODD)
    for folder in ("one", "two", "from"):
        (tmp_path / folder).mkdir()
        package = "from.it" if folder == "from" else folder
        text = SHARED.format(package=package, field=f"x_{folder}")
        (tmp_path / folder / "shared.proto").write_text(text)
    pets = tmp_path / "github.com/pets"
    pets.mkdir(parents=True)
    text = 'syntax = "proto3"; package pets; message Cat { string name = 1; }'
    (pets / "big-cat.v1.proto").write_text(text)
    return tmp_path


def compile_python(root: Path, *options: str) -> str:
    """Run protoc with the plugin itself, in place; return its errors."""
    files = [str(path.relative_to(root)) for path in root.rglob("*.proto")]
    plugin = Path(sys.executable).parent / "protoc-gen-pyttrpc"
    return subprocess.run(
        [
            *(sys.executable, "-m", "grpc_tools.protoc", f"-I{root}"),
            *(f"--python_out={root}", f"--pyi_out={root}", f"--pyttrpc_out={root}"),
            *(f"--plugin=protoc-gen-pyttrpc={plugin}", *options, *files),
        ],
        check=True,
        stderr=subprocess.PIPE,
        text=True,
    ).stderr


def run(root: Path, program: str) -> str:
    """Run a program that imports what was generated."""
    result = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        cwd=root,
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


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
        async with stub.upload(timeout=10) as stream:
            await stream.send(BytesValue())
            assert await stream.response() == UInt64Value(value=1)
        async with stub.download(UInt64Value(value=3)) as stream:
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


def test_comments_of_any_kind_are_docstrings_of_bases_and_clients(odd: Path) -> None:
    compile_python(odd)
    printed = run(
        odd,
        "import odd_name_ttrpc as it\n"
        "for kind in (it.HTTPThingBase, it.HTTPThingClient, it.HTTPThingSyncClient):\n"
        "    for part in (kind, kind.import_, kind.both):\n"
        "        print(repr(part.__doc__))\n",
    )
    docs = [ast.literal_eval(line) for line in printed.splitlines()]
    base, aio, sync = (docs[at : at + 3] for at in (0, 3, 6))
    assert base[0] == 'Ends in a "quote"'
    assert aio[0].split("\n\n")[0] == (
        "Calls odd.HTTPThing through a client of `ttrpc.aio`."
    )
    for kind in (aio, sync):
        assert 'Ends in a "quote"' in kind[0]
    for kind in (base, aio, sync):
        text = inspect.cleandoc(kind[1])
        assert text == "A \\ backslash and '''three quotes'''.\n\nA second paragraph."
        assert kind[2] == 'Says "hi"'


def test_services_and_imports_of_one_name_are_told_apart(odd: Path) -> None:
    """The first service of a file keeps its names."""
    compile_python(odd)
    printed = run(odd, "import odd_name_ttrpc as it\nprint(*sorted(vars(it)))")
    names = set(printed.split())
    assert names >= {
        *("ECHO", "EchoBase", "EchoClient", "EchoSyncClient"),
        *("ECHO_SYNC", "EchoSyncBase", "EchoSyncClient_", "EchoSyncSyncClient"),
        *("SYNC", "SyncBase", "SyncClient", "SyncSyncClient"),
        *("TYPE_CHECKING_", "TYPE_CHECKING__", "PRIVATE", "PrivateClient"),
        *("_", "_Base", "_Client", "NONE", "NoneBase"),
    }


async def test_services_of_odd_names_are_served_and_called(odd: Path) -> None:
    compile_python(odd)
    program = """
import asyncio
from github.com.pets.big_cat.v1_pb2 import Cat
import odd_name_ttrpc as it
from ttrpc import bind
from ttrpc.aio import Server
from ttrpc.aio.testing import connected

class Echo(it.EchoBase):
    def _client(self, request, context):
        return request

class Private(it.PrivateBase):
    def class_(self, request, context):
        return request

async def main():
    server = Server([bind(it.ECHO, Echo()), bind(it.PRIVATE, Private())])
    async with connected(server) as client:
        print((await it.EchoClient(client)._client(Cat(name="a"))).name)
        print((await it.PrivateClient(client).class_(Cat(name="b"))).name)

asyncio.run(main())
"""
    assert run(odd, program) == "a\nb\n"


def test_what_is_deprecated_warns(odd: Path) -> None:
    compile_python(odd)
    program = """
import warnings
import odd_name_ttrpc as it

with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    class Old(it.SyncBase):
        def sync(self, request, context):
            return request
    Old().sync(None, None)
    it.EchoClient(None)
    it.SyncClient(None)
    it.SyncSyncClient(None)
    for call in (it.EchoClient(None).older, it.EchoSyncClient(None).deprecated):
        try:
            call(None)
        except AttributeError:  # there is no client
            pass
for one in caught:
    print(one.category.__name__, one.filename, one.message)
"""
    start = "DeprecationWarning <string>"
    assert run(odd, program).splitlines() == [
        f"{start} odd.Sync is deprecated",
        f"{start} odd.Sync is deprecated",
        f"{start} /odd.Echo/Older is deprecated",
        f"{start} /odd.Echo/Deprecated is deprecated",
    ]


def test_files_and_messages_that_are_keywords_can_be_imported(odd: Path) -> None:
    (odd / "keywords.proto").write_text(KEYWORDS)
    compile_python(odd)
    program = """
import importlib
from keywords_ttrpc import WORDS
stubs = importlib.import_module("from.shared_ttrpc")
print(*WORDS.methods, stubs.THING.methods["Same"].request_type.DESCRIPTOR.full_name)
"""
    assert run(odd, program) == "None from.it.Shared\n"


def test_a_folder_of_a_name_of_pythons_is_imported_below_a_prefix(
    tmp_path: Path,
) -> None:
    zoo = tmp_path / "zoo"
    (zoo / "types").mkdir(parents=True)
    (zoo / "types/shared.proto").write_text(SHARED.format(package="t", field="x"))
    assert "import_prefix" in compile_python(zoo)
    assert not compile_python(zoo, "--pyttrpc_opt=import_prefix=zoo")
    program = "from zoo.types.shared_ttrpc import THING\nprint(THING.name)"
    assert run(tmp_path, program) == "t.Thing\n"


def test_users_files_have_no_licence_of_ours(odd: Path) -> None:
    (file,) = generate(request_for("odd-name.proto", root=odd)).file
    assert file.name == "odd_name_ttrpc.py"
    first, second = file.content.splitlines()[:2]
    assert (
        first == "# Generated by protoc-gen-pyttrpc from odd-name.proto. Do not edit."
    )
    assert second.startswith('"""Typed clients')


USE = """
from google.protobuf.empty_pb2 import Empty
from odd_name_pb2 import Outer
from github.com.pets.big_cat.v1_pb2 import Cat
from odd_name_ttrpc import EchoClient, HTTPThingBase, HTTPThingClient
from odd_name_ttrpc import HTTPThingSyncClient
import odd_name_ttrpc
from one.shared_pb2 import Shared as One
from two.shared_pb2 import Shared as Two
from ttrpc import CallContext
from ttrpc.aio import Client, ServerStream
from ttrpc.sync import Client as SyncClient


class Thing(HTTPThingBase):
    def both(self, request: One, context: CallContext) -> Two:
        return Two(x_two=request.x_one)

    async def feed(self, stream: ServerStream[One, Two], context: CallContext) -> Two:
        return Two(x_two=sum([one.x_one async for one in stream]))


async def use(client: Client) -> tuple[Empty, Two]:
    stub = HTTPThingClient(client)
    stream = await stub.feed(timeout=1)
    await stream.send(One(x_one=1))
    return await stub.import_(Outer.Inner(x=1)), await stream.response()


def use_sync(client: SyncClient) -> Two:
    stub = HTTPThingSyncClient(client)
    with stub.feed(metadata={"key": "value"}) as stream:
        stream.send(One(x_one=1))
        return stream.response()
"""
MISUSE = """
async def misuse(client: Client) -> None:
    await HTTPThingClient(client).both(Two())
    await EchoClient(client).deprecated(Cat())
    odd_name_ttrpc.SyncClient(client)
"""


def check(root: Path, module: str, *arguments: str) -> list[str]:
    """Run a type checker in `root`; return its complaints of files there."""
    (root / "py.typed").touch()
    for name, source in (("use", USE), ("misuse", USE + MISUSE)):
        (root / f"{name}.py").write_text(source)
    result = subprocess.run(
        [
            *(sys.executable, "-m", module, *arguments),
            *("use.py", "misuse.py", "odd_name_ttrpc.py", "from/shared_ttrpc.py"),
        ],
        cwd=root,
        env={**os.environ, "MYPYPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert not result.stderr
    return re.findall(rf"^\s*(?:{root}/)?([\w/]+\.py:.*)$", result.stdout, re.M)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_mypy_knows_the_types_of_stubs(odd: Path) -> None:
    """Under `mypy --strict`, the right use passes and the wrong one fails."""
    compile_python(odd)
    lines = check(
        odd,
        "mypy",
        *("--strict", "--no-error-summary", "--enable-error-code", "deprecated"),
        *("--follow-imports", "silent"),
    )
    wrong, method, service = lines
    assert all(line.startswith("misuse.py") for line in lines)
    assert 'has incompatible type "two.shared_pb2.Shared"' in wrong
    assert "/odd.Echo/Deprecated is deprecated" in method
    assert "odd.Sync is deprecated" in service


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_pyright_knows_the_types_of_stubs(odd: Path) -> None:
    compile_python(odd)
    (odd / "pyrightconfig.json").write_text('{"reportDeprecated": "error"}')
    lines = check(odd, "pyright", "--pythonpath", sys.executable)
    wrong, method, service = lines
    assert all(line.startswith("misuse.py") for line in lines)
    assert 'in function "both"' in wrong
    assert '"deprecated" in class "EchoClient" is deprecated' in method
    assert 'class "SyncClient" is deprecated' in service
