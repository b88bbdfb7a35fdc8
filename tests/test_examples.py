# SPDX-License-Identifier: Apache-2.0
"""The examples run, print the promised lines, and have no error of types."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from google.protobuf.empty_pb2 import Empty
from google.protobuf.wrappers_pb2 import (
    BytesValue,
    Int32Value,
    StringValue,
    UInt64Value,
)

from bench.ttrpc.peers import python_peer
from kata_host.guest.local_guest import LocalGuest
from tests.helpers.namespace import require_root
from tests.helpers.peer import ECHO, SECOND
from tests.helpers.source_tree import ROOT
from tests.helpers.vm import require_image
from ttrpc import Method, Raw, StatusError
from ttrpc.sync import Client

EXAMPLES: Final = ROOT / "examples"
SERVICE: Final = EXAMPLES / "ttrpc_service"
PROGRAMS: Final = Path(sys.executable).parent
PATIENCE: Final = 60


def run(program: Path, *arguments: str, timeout: float = PATIENCE) -> list[str]:
    """Return the lines that an example prints to stdout; stderr must be empty."""
    result = subprocess.run(
        [sys.executable, program.name, *arguments],
        cwd=program.parent,
        capture_output=True,
        text=True,
        timeout=timeout,
    )
    assert not result.stderr
    assert result.returncode == 0
    return result.stdout.splitlines()


@pytest.mark.root
def test_a_container_runs_in_a_local_guest() -> None:
    require_root()
    first, *rest = run(EXAMPLES / "run_container.py")
    assert re.fullmatch(r"agent \S+ API \S+", first)
    assert rest == ["0 hello", "7 12"]


SDK: Final = {
    "sandbox_command.py": ["hello"],
    "sandbox_process.py": ["42 is it"],
    "sandbox_pool.py": [
        "sums: 499500",
        "waits: command 'python3': not ended after 20 s",
        "grows: command: ended by SIGKILL: out of memory",
        "fails: command: exit status 3",
    ],
}
"""The programs of the SDK and what they print."""
LONGEST: Final = {
    "sandbox_command.py": 6,
    "sandbox_process.py": 8,
    "sandbox_pool.py": 25,
}
"""The most lines that they may have."""


@pytest.mark.root
@pytest.mark.slow
@pytest.mark.parametrize("program", SDK)
def test_the_sdk_works_with_fresh_guests(program: str) -> None:
    require_root()
    assert run(EXAMPLES / program, timeout=110) == SDK[program]


@pytest.mark.vm
@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("program", SDK)
def test_the_sdk_works_with_fresh_virtual_machines(
    program: str, tmp_path: Path
) -> None:
    require_image()
    text = (EXAMPLES / program).read_text().replace("Guest.local", "Guest.vm")
    (tmp_path / program).write_text(text.replace("Pool(10,", "Pool(2,"))
    assert run(tmp_path / program, timeout=500) == SDK[program]


@pytest.mark.parametrize("program", SDK)
def test_the_programs_of_the_sdk_are_short(program: str) -> None:
    """Without what every file here has: a docstring, and the import for types."""
    text = (EXAMPLES / program).read_text().split('"""', 2)[2]
    lines = [line for line in text.splitlines() if line and "__future__" not in line]
    assert len(lines) <= LONGEST[program]


@pytest.mark.root
def test_a_process_is_talked_to_while_it_runs() -> None:
    require_root()
    assert run(EXAMPLES / "stream_stdio.py") == [
        "stdout: you said one",
        "stdout: you said two",
        "stderr: bye",
        "status: 3",
    ]


@pytest.mark.root
def test_a_trace_shows_the_steps_in_the_guest() -> None:
    require_root()
    lines = run(EXAMPLES / "trace_run.py")
    calls = [line.split()[0] for line in lines if line.startswith("grpc.")]
    assert calls[:2] == [
        "grpc.AgentService/CreateSandbox",
        "grpc.AgentService/CreateContainer",
    ]
    assert any("runtime.create" in line for line in lines)
    # Below the call that started it, if it was over before that call.
    assert any("process.run" in line for line in lines)


@pytest.mark.root
def test_an_agent_is_called_by_type_and_by_name() -> None:
    require_root()
    with LocalGuest() as guest:
        version, error, metrics = run(EXAMPLES / "call_agent.py", guest.address)
    assert version.startswith("agent version: ")
    assert error == "error: INVALID_ARGUMENT and a text: container 'none': not found"
    assert re.fullmatch(r"lines of metrics: \d\d+", metrics)


@pytest.fixture
def words() -> Iterator[str]:
    """The address of the example's own service, which serves during the test."""
    address = f"unix://@words-{os.getpid()}"
    server = subprocess.Popen(
        [sys.executable, "server.py", address],
        cwd=SERVICE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert server.stdout is not None
    assert server.stdout.readline() == f"serving {address}\n"
    yield address
    server.terminate()
    assert server.wait(PATIENCE) == 0
    server.stdout.close()


def test_a_service_of_ones_own_is_called_with_asyncio(words: str) -> None:
    assert run(SERVICE / "client.py", words) == [
        "words: 3",
        "error: INVALID_ARGUMENT: text: empty",
        "word: one",
        "word: by",
        "word: one",
        "total: 5",
    ]


def test_a_service_of_ones_own_is_called_by_a_script(words: str) -> None:
    assert run(SERVICE / "script.py", words) == ["words: 3", "word: a", "word: stream"]


@pytest.fixture
def proxy(tmp_path: Path) -> Iterator[str]:
    """The address of the proxy example, in front of the server of `peer.v1`."""
    front, back = (f"{tmp_path}/{name}.sock" for name in ("front", "back"))
    with python_peer(back):
        server = subprocess.Popen(
            [sys.executable, "ttrpc_proxy.py", f"unix://{front}", f"unix://{back}"],
            cwd=EXAMPLES,
            stdout=subprocess.PIPE,
            text=True,
        )
        with server:
            assert server.stdout is not None
            assert server.stdout.readline() == f"serving unix://{front}\n"
            yield front
            server.terminate()
            assert server.wait(PATIENCE) == 0
            assert "/peer.v1.Echo/Echo OK\n" in server.stdout.readlines()


def test_a_proxy_passes_calls_of_every_kind_on(proxy: str) -> None:
    hi = BytesValue(value=b"hi")
    with Client.connect(f"unix://{proxy}", timeout=PATIENCE) as client:
        assert client.call(ECHO["Echo"], hi) == hi
        pairs = [("key", "a"), ("key", "b")]
        key = StringValue(value="key")
        assert client.call(ECHO["Metadata"], key, metadata=pairs).value == "a,b"
        left = client.call(ECHO["Deadline"], Empty(), timeout=600).value
        assert 0 < left < 600 * SECOND
        with pytest.raises(StatusError) as caught:
            client.call(ECHO["FailDetails"], Int32Value(value=5))
        assert str(caught.value) == "NOT_FOUND: failed with 5"
        detail = caught.value.detail(StringValue)
        assert detail == StringValue(value="detail")
        with pytest.raises(StatusError, match="^UNIMPLEMENTED: service a.B$"):
            client.call(Method.raw("a.B", "C"), Raw())
        with client.open_stream(ECHO["EchoStream"]) as stream:
            for _ in range(3):
                stream.send(hi)
                assert stream.recv() == hi
            stream.close_send()
            assert stream.recv() is None
        with client.open_stream(ECHO["Upload"]) as stream:
            stream.send(hi)
            assert stream.response() == UInt64Value(value=1 << 32 | 2)
        with client.open_stream(ECHO["Upload"]) as stream:
            assert stream.response() == UInt64Value()
        wanted = UInt64Value(value=3 << 32 | 1)
        with client.open_stream(ECHO["Download"], wanted) as stream:
            assert list(stream) == 3 * [BytesValue(value=b"\0")]
        with client.open_stream(ECHO["FailStream"], UInt64Value(value=1)) as stream:
            assert stream.recv() == StringValue(value="0")
            with pytest.raises(StatusError, match="^ABORTED: enough$"):
                stream.recv()


def test_the_stubs_are_what_the_plugin_makes(tmp_path: Path) -> None:
    made = [f"--{kind}_out={tmp_path}" for kind in ("python", "pyi", "pyttrpc")]
    subprocess.run(
        [sys.executable, "-m", "grpc_tools.protoc", "-I.", *made, "words.proto"],
        cwd=SERVICE,
        env={**os.environ, "PATH": f"{PROGRAMS}:{os.environ['PATH']}"},
        check=True,
    )
    for file in tmp_path.iterdir():
        assert file.read_text() == (SERVICE / file.name).read_text()


@pytest.mark.slow
@pytest.mark.parametrize(
    "checker",
    [
        ["mypy", "--strict", "--explicit-package-bases"],
        ["pyright", "--level", "error"],
    ],
    ids=["mypy", "pyright"],
)
@pytest.mark.parametrize("folder", [EXAMPLES, SERVICE], ids=lambda path: path.name)
def test_types_have_no_error(folder: Path, checker: list[str]) -> None:
    program, *options = checker
    result = subprocess.run(
        [
            PROGRAMS / program,
            *options,
            *(path.name for path in folder.glob("*.py") if "pb2" not in path.name),
        ],
        cwd=folder,
        # pyright asks the interpreter that PATH finds for its libraries.
        env={**os.environ, "PATH": f"{PROGRAMS}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    if result.returncode != 0:
        pytest.fail(result.stdout + result.stderr, pytrace=False)
