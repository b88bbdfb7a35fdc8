# SPDX-License-Identifier: Apache-2.0
"""Stubs of containerd's whole API: imported, and read by both type checkers."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from tests.helpers.interop import go_module, require_go
from tests.packaging.conftest import Environment

pytestmark = [pytest.mark.interop, pytest.mark.slow, pytest.mark.timeout(300)]

DOCUMENTED: Final = Path(__file__).parents[2] / "docs/ttrpc/how-to/package.md"
"""The page with the command that sets the prefix in protoc's own files."""
API: Final = "github.com/containerd/containerd/api"
RELEASES: Final = {"v1.8.0": API.replace(".", "/"), "v1.12.0": "zoo"}
"""Of containerd 2.0, and the newest, whose files are named `types/mount.proto`; and the
package that their Python is imported from."""
STATUS: Final = """
syntax = "proto3";
package google.rpc;
import "google/protobuf/any.proto";
message Status {
  int32 code = 1;
  string message = 2;
  repeated google.protobuf.Any details = 3;
}
"""
"""google/rpc/status.proto, the one import that is not in the module."""

PROGRAM: Final = """
import asyncio
from typing import assert_type

from PACKAGE.events.task_pb2 import TaskExit
from PACKAGE.runtime.task.v3 import shim_pb2
from PACKAGE.runtime.task.v3.shim_ttrpc import (
    TaskBase, TaskClient, TaskSyncClient,
)
from PACKAGE.services.streaming.v1 import streaming_ttrpc
from google.protobuf.any_pb2 import Any
from google.protobuf.empty_pb2 import Empty
from ttrpc import CallContext, bind
from ttrpc.aio import Client, ClientStream, Server
from ttrpc.aio.testing import connected
from ttrpc.sync import Client as SyncClient


class Task(TaskBase):
    def wait(
        self, request: shim_pb2.WaitRequest, context: CallContext
    ) -> shim_pb2.WaitResponse:
        return shim_pb2.WaitResponse(exit_status=len(request.id))


async def stream(client: Client) -> ClientStream[Any, Any]:
    return await streaming_ttrpc.StreamingClient(client).stream()


def pause(client: SyncClient) -> Empty:
    return TaskSyncClient(client).pause(shim_pb2.PauseRequest(id="a"), timeout=1)


async def main() -> None:
    async with connected(Server([bind(TaskBase.__ttrpc_service__, Task())])) as client:
        answer = await TaskClient(client).wait(shim_pb2.WaitRequest(id="abc"))
        assert_type(answer.exit_status, int)
        print(answer.exit_status, TaskExit(id="a").id)


asyncio.run(main())
"""
WRONG: Final = """
from PACKAGE.runtime.task.v3 import shim_pb2
from PACKAGE.runtime.task.v3.shim_ttrpc import TaskClient

async def wrong(client: TaskClient) -> None:
    await client.wait(shim_pb2.PauseRequest())
"""


PROGRAMS: Final = ("program.py", "wrong.py")
"""A checker looks at all types once for the two."""


@pytest.fixture(scope="module", params=RELEASES)
def generated(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A folder with the Python of every .proto of the module."""
    require_go()
    source = go_module(API, request.param)
    package = RELEASES[request.param]
    folder = tmp_path_factory.mktemp("containerd")
    names = [str(it.relative_to(source)) for it in source.rglob("*.proto")]
    assert len(names) >= 40
    if package == "zoo":
        write_protos(folder / "zoo", source, names, "--pyttrpc_opt=import_prefix=zoo")
        (sed,) = re.findall(r"^ *\$ sed (-i .*) \$\(find", DOCUMENTED.read_text(), re.M)
        messages = list((folder / "zoo").rglob("*_pb2.py*"))
        subprocess.run(["sed", *shlex.split(sed), *messages], check=True)
    else:
        write_protos(folder, f"{API}={source}", [f"{API}/{name}" for name in names])
    for name, program in (("program", PROGRAM), ("wrong", WRONG)):
        text = program.replace("PACKAGE", package.replace("/", "."))
        (folder / f"{name}.py").write_text(text)
    return folder


def write_protos(
    folder: Path, source: Path | str, names: list[str], *options: str
) -> None:
    """Write protoc's Python and ours into a folder."""
    (folder / "google/rpc").mkdir(parents=True)
    (folder / "google/rpc/status.proto").write_text(STATUS)
    out = [f"--{kind}_out={folder}" for kind in ("python", "pyi", "pyttrpc")]
    plugin = Path(sys.executable).parent / "protoc-gen-pyttrpc"
    subprocess.run(
        [
            *(sys.executable, "-m", "grpc_tools.protoc", f"-I{source}", f"-I{folder}"),
            *(*out, f"--plugin=protoc-gen-pyttrpc={plugin}", *options),
            *("google/rpc/status.proto", *names),
        ],
        check=True,
    )


def stubs(folder: Path) -> list[str]:
    """Return the paths of the generated stubs."""
    found = sorted(str(it.relative_to(folder)) for it in folder.rglob("*_ttrpc.py"))
    assert len(found) >= 18
    return found


def run(folder: Path, *arguments: str | Path) -> tuple[int, str]:
    """Run Python in the folder; return its status and its output."""
    result = subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    return result.returncode, result.stdout


def test_every_stub_is_imported(generated: Path) -> None:
    names = [it.removesuffix(".py").replace("/", ".") for it in stubs(generated)]
    program = "".join(f"import {name}\n" for name in names)
    assert run(generated, "-W", "error", "-c", program) == (0, "")


def test_a_shim_is_served_and_called(generated: Path) -> None:
    assert run(generated, "program.py") == (0, "3 a\n")


@pytest.fixture
def environment(request: pytest.FixtureRequest, generated: Path) -> Environment:
    """The wheels for one release, and an editable install for the other."""
    name = "editable" if (generated / "zoo").exists() else "installed"
    environment: Environment = request.getfixturevalue(name)
    # protobuf has no types of its own for mypy.
    environment.install("types-protobuf")
    return environment


def test_mypy_finds_the_types(generated: Path, environment: Environment) -> None:
    command = (
        *("-m", "mypy", "--strict", "--no-error-summary", "--no-incremental"),
        *("--explicit-package-bases", "--follow-imports", "silent"),
        *("--python-executable", environment.python),
    )
    status, output = run(generated, *command, *stubs(generated), *PROGRAMS)
    # protoc's own files are not strict.
    errors = [line for line in output.splitlines() if " error: " in line]
    (wrong,) = [line for line in errors if "_pb2.pyi:" not in line]
    assert wrong.startswith("wrong.py:")
    assert 'incompatible type "PauseRequest"; expected "WaitRequest"' in wrong
    assert status == 1


def test_pyright_finds_the_types(generated: Path, environment: Environment) -> None:
    # Strict would also complain of protoc's own files, whose types are not complete.
    command = ("-m", "pyright", "--pythonpath", environment.python)
    status, output = run(generated, *command, *stubs(generated), *PROGRAMS)
    (wrong,) = [line for line in output.splitlines() if " error: " in line]
    assert "/wrong.py:" in wrong
    assert '"PauseRequest" is not assignable to "WaitRequest"' in output
    assert status == 1
