# SPDX-License-Identifier: Apache-2.0
"""ttrpc as its users install it: the wheel, with no other package but its needs."""

from __future__ import annotations

import email
import os
import re
import subprocess
import sys
import venv
import zipfile
from pathlib import Path
from typing import Final

import pytest

from ttrpc import __version__

ROOT: Final = Path(__file__).parents[1]
BUILD_TIMEOUT: Final = 300
"""Seconds to build the wheel, or to install it with its needs."""

CALL: Final = """
import asyncio, sys

import google.protobuf
from google.protobuf import descriptor_pb2, descriptor_pool
from google.protobuf.wrappers_pb2 import StringValue

from ttrpc import Cardinality, Code, Method, Service, StatusError, bind
from ttrpc.aio import Client, Server
from ttrpc.sync import Client as SyncClient

SHOUT = Method(
    "Shout", "demo.Echo", Cardinality.UNARY_UNARY, StringValue, StringValue
)


class Echo:
    def shout(self, request, context):
        if not request.value:
            raise StatusError(Code.INVALID_ARGUMENT, "text: empty")
        return StringValue(value=request.value.upper())


def shout_sync(address):
    with SyncClient.connect(address, timeout=10) as client:
        return client.call(SHOUT, StringValue(value="again"), timeout=10).value


async def main():
    address = f"unix://{sys.argv[1]}"
    server = Server([bind(Service("demo.Echo", {"Shout": SHOUT}), Echo())])
    await server.listen(address)
    async with await Client.connect(address, timeout=10) as client:
        hello = StringValue(value="hello")
        print((await client.call(SHOUT, hello, timeout=10)).value)
        try:
            await client.call(SHOUT, StringValue(), timeout=10)
        except StatusError as error:
            print(error)
    print(await asyncio.to_thread(shout_sync, address))
    await server.shutdown(10)


asyncio.run(main())
print(google.protobuf.__version__)
"""
CALLED: Final = ["HELLO", "INVALID_ARGUMENT: text: empty", "AGAIN"]

CONTAINERDS: Final = """
from google.protobuf import descriptor_pb2, descriptor_pool

# As github.com/containerd/ttrpc/request.proto: another Request in package ttrpc.
file = descriptor_pb2.FileDescriptorProto(name="request.proto", package="ttrpc")
request = file.message_type.add(name="Request")
for number, name in enumerate(("service", "method"), start=1):
    field = request.field.add(name=name, number=number)
    field.type, field.label = field.TYPE_STRING, field.LABEL_OPTIONAL
descriptor_pool.Default().Add(file)
found = descriptor_pool.Default().FindMessageTypeByName("ttrpc.Request")
assert [it.name for it in found.fields] == ["service", "method"]
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of `ttrpc/`, built in an environment of its own."""
    directory = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--outdir", directory, "ttrpc"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        timeout=BUILD_TIMEOUT,
    )
    (built,) = directory.glob("*.whl")
    return built


def pip(python: Path) -> list[str | Path]:
    """Return the command pip for another environment, which need not have it."""
    return [sys.executable, "-m", "pip", "--python", python]


def environment(directory: Path, *requirements: str) -> Path:
    """Make an environment with these distributions; return its Python."""
    venv.create(directory, symlinks=True)
    python = directory / "bin" / "python"
    install = [*pip(python), "install", "--quiet", "--no-input", "--no-compile"]
    subprocess.run(
        [*install, *requirements],
        check=True,
        timeout=BUILD_TIMEOUT,
        env={**os.environ, "PYTHONWARNINGS": "ignore"},
    )
    return python


def run(python: Path, program: str, directory: Path) -> list[str]:
    """Run a program in an empty folder; return the lines it prints."""
    result = subprocess.run(
        [python, "-W", "error", "-c", program, directory / "echo.sock"],
        cwd=directory,
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout.splitlines()


@pytest.mark.slow
@pytest.mark.timeout(2 * BUILD_TIMEOUT)
@pytest.mark.parametrize("protobuf", ["5.29", "6.0", "7.0"])
def test_the_wheel_serves_and_calls_by_itself(
    wheel: Path, tmp_path: Path, protobuf: str
) -> None:
    """With nothing of ours but ttrpc, on each protobuf that it admits."""
    python = environment(tmp_path / "venv", str(wheel), f"protobuf~={protobuf}")
    *called, version = run(python, CALL, tmp_path)
    assert called == CALLED
    assert version.split(".")[0] == protobuf.split(".")[0]
    listed = subprocess.run(
        [*pip(python), "list", "--format", "freeze"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    names = {line.partition("==")[0].lower() for line in listed.splitlines()}
    assert names - {"pip", "setuptools"} == {"construct", "protobuf", "ttrpc"}


@pytest.mark.parametrize("first", ["theirs", "ours"])
def test_another_ttrpc_request_may_be_loaded_in_the_same_process(
    tmp_path: Path, first: str
) -> None:
    """containerd's request.proto declares package ttrpc; ours is package pyttrpc."""
    program = CONTAINERDS + CALL if first == "theirs" else CALL + CONTAINERDS
    *called, _ = run(Path(sys.executable), program, tmp_path)
    assert called == CALLED


@pytest.mark.slow
@pytest.mark.timeout(BUILD_TIMEOUT)
def test_the_wheel_holds_the_package_and_its_metadata(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        (metadata,) = (it for it in names if it.endswith(".dist-info/METADATA"))
        head = email.message_from_bytes(archive.read(metadata))
    sources = {
        f"ttrpc/{path.relative_to(ROOT / 'ttrpc')}"
        for path in (ROOT / "ttrpc").rglob("*")
        if path.suffix in (".py", ".pyi", ".proto") or path.name == "py.typed"
    }
    assert {it for it in names if ".dist-info/" not in it} == sources
    assert head["Version"] == __version__
    assert head["Author"] == "kata-agent developers"
    assert head["Description-Content-Type"] == "text/markdown"


PROTO: Final = """
syntax = "proto3";
message Text { string text = 1; }
service Echo { rpc Shout (Text) returns (Text); }
"""


def test_the_example_on_the_package_index_runs(tmp_path: Path) -> None:
    (tmp_path / "echo.proto").write_text(PROTO)
    page = (ROOT / "ttrpc" / "README.md").read_text()
    (example,) = re.findall(r"^```python\n(.*?)^```$", page, re.M | re.S)
    (protoc,) = re.findall(r"^    python (-m grpc_tools\.protoc .*)$", page, re.M)
    programs = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    for arguments in (protoc.split(), ["-c", example]):
        result = subprocess.run(
            [sys.executable, *arguments],
            cwd=tmp_path,
            env={**os.environ, "PATH": programs, "PYTHONPATH": str(tmp_path)},
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert result.returncode == 0, result.stderr
    assert result.stdout == "HELLO\n"


def test_it_imports_only_its_requirements() -> None:
    """A clean interpreter that finds ttrpc, protobuf and construct only by name."""
    program = (
        "import sys, ttrpc.aio.client, ttrpc.aio.server, ttrpc.sync.client, "
        "ttrpc.plugin.protoc, ttrpc.dump\n"
        "print(*sorted({it.partition('.')[0] for it in sys.modules}))"
    )
    printed = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    ).stdout.split()
    third_party = {
        it for it in printed if it not in sys.stdlib_module_names and it[0] != "_"
    }
    assert third_party <= {"ttrpc", "google", "construct", "sitecustomize"}
