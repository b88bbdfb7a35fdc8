# SPDX-License-Identifier: Apache-2.0
"""`python -m ttrpc call`, as a user runs it."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import IO, Any, Final

import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorSet

from tests.helpers.protoc import PEER, ROOT, request_for

COMMAND: Final = [sys.executable, "-m", "ttrpc", "call"]


@pytest.fixture(scope="module")
def peers_api(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The peer's services as a descriptor set."""
    file = tmp_path_factory.mktemp("api") / "peer.binpb"
    files = FileDescriptorSet(file=request_for(PEER).proto_file)
    file.write_bytes(files.SerializeToString())
    return str(file)


class Caller:
    """Runs the command against the peer."""

    def __init__(self, address: str, api: str) -> None:
        self.arguments = ("--descriptor-set", api, address)

    def start(self, *arguments: str, **options: Any) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [*COMMAND, *self.arguments, *arguments],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def __call__(self, *arguments: str, input: str = "") -> tuple[int, str, str]:
        """Return the exit status, the output and the errors."""
        process = self.start(*arguments)
        output, errors = process.communicate(input, 60)
        return process.returncode, output, errors


@pytest.fixture
def call(our_server: str, peers_api: str) -> Caller:
    return Caller(f"unix://{our_server}", peers_api)


def item(number: int) -> str:
    return json.dumps({"seq": number, "text": "a"})


@pytest.mark.parametrize("name", ["peer.v1.Streaming/Echo", "/peer.v1.Streaming/Echo"])
def test_a_unary_call(call: Caller, name: str) -> None:
    assert call(name, item(3)) == (0, f"{item(4)}\n", "")
    assert call(name, "-", input=item(3)) == (0, f"{item(4)}\n", "")
    assert call(name) == (0, '{"seq": 1}\n', "")


def test_a_server_that_streams(call: Caller) -> None:
    status, output, errors = call("peer.v1.Streaming/Divide", '{"sum": 9, "num": 3}')
    assert (status, errors) == (0, "")
    assert sum(json.loads(line)["add"] for line in output.splitlines()) == 9
    assert len(output.splitlines()) == 3


def test_a_client_that_streams_lines_of_standard_input(call: Caller) -> None:
    lines = '{"add": 1}\n\n{"add": 2}\n{"add": 3}'
    total = '{"sum": 6, "num": 3}\n'
    assert call("peer.v1.Streaming/Sum", input=lines) == (0, total, "")
    assert call("peer.v1.Streaming/Sum", "-", input=lines) == (0, total, "")
    assert call("peer.v1.Streaming/Sum", lines) == (0, total, "")


def test_both_sides_stream_as_messages_come(call: Caller) -> None:
    """An answer is printed before the next message is written."""
    with call.start("peer.v1.Streaming/EchoStream") as process:
        stdin, stdout = pipes(process)
        for number in range(3):
            stdin.write(item(number) + "\n")
            stdin.flush()
            assert stdout.readline() == item(number + 1) + "\n"
        stdin.close()
        assert stdout.read() == ""
        assert process.wait(60) == 0


def pipes(process: subprocess.Popen[str]) -> tuple[IO[str], IO[str]]:
    assert process.stdin is not None
    assert process.stdout is not None
    return process.stdin, process.stdout


def test_metadata_and_a_timeout_are_sent(call: Caller) -> None:
    pairs = ("-m", "key=a=b", "--metadata", "key=c")
    assert call(*pairs, "peer.v1.Echo/Metadata", '"key"') == (0, '"a=b,c"\n', "")
    status, output, _ = call("--timeout", "100", "peer.v1.Echo/Deadline")
    assert status == 0
    assert 0 < int(json.loads(output)) <= 100e9


def test_a_status_is_printed_with_its_details(call: Caller) -> None:
    status, output, errors = call("peer.v1.Echo/FailDetails", "5")
    assert (status, output) == (1, "")
    assert errors == (
        "call: NOT_FOUND: failed with 5\n"
        'call: detail: {"@type": "type.googleapis.com/google.protobuf.StringValue", '
        '"value": "detail"}\n'
    )


def test_a_stream_that_fails_prints_what_came_before(call: Caller) -> None:
    answer = call("peer.v1.Echo/FailStream", '"2"')
    assert answer == (1, '"0"\n"1"\n', "call: ABORTED: enough\n")


def test_a_call_that_lasts_too_long_is_given_up(call: Caller) -> None:
    status, output, errors = call("-t", "0.05", "peer.v1.Echo/Sleep", '"60000000000"')
    assert (status, output) == (1, "")
    assert errors.startswith("call: DEADLINE_EXCEEDED")


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (("peer.v1.Echo/Nope",), "'peer.v1.Echo/Nope': no method 'Nope'; there are: E"),
        (("peer.v1.Nope/Echo",), "'peer.v1.Nope/Echo': no service 'peer.v1.Nope'; the"),
        (("peer.v1.Streaming/Echo", "{"), "request: no peer.v1.Item: "),
        (("peer.v1.Streaming/Echo", '{"sek": 1}'), "request: no peer.v1.Item: "),
        (("peer.v1.Streaming/Sum", "{}\n{"), "message 2: no peer.v1.Part: "),
        (("peer.v1.Streaming/Echo", "-m", "key"), "metadata 'key': not KEY=VALUE"),
        (("peer.v1.Streaming/Echo", "-t", "-1"), "timeout"),
    ],
)
def test_a_call_that_cannot_be_made_is_an_error_of_one_line(
    call: Caller, arguments: tuple[str, ...], error: str
) -> None:
    status, output, errors = call(*arguments)
    assert (status, output) == (2, "")
    assert errors.startswith(f"call: {error}"), errors
    assert "Traceback" not in errors


def test_a_bad_line_ends_a_stream(call: Caller) -> None:
    with call.start("peer.v1.Streaming/EchoStream") as process:
        stdin, stdout = pipes(process)
        stdin.write(f"{item(0)}\nnonsense\n")
        stdin.flush()
        # Standard input stays open.
        assert process.wait(60) == 2
        assert stdout.read() in ("", item(1) + "\n")
        assert process.stderr is not None
        assert process.stderr.read().startswith("call: message 2: no peer.v1.Item: ")


def test_an_interrupt_is_no_traceback(call: Caller) -> None:
    with call.start("peer.v1.Streaming/EchoStream") as process:
        stdin, stdout = pipes(process)
        stdin.write(item(0) + "\n")
        stdin.flush()
        stdout.readline()
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130
        assert process.stderr is not None
        assert process.stderr.read() == ""


def test_a_reader_that_goes_ends_the_call(call: Caller) -> None:
    with call.start("peer.v1.Echo/Download", str(1000 << 32 | 1000)) as process:
        _, stdout = pipes(process)
        stdout.readline()
        stdout.close()
        assert process.wait(60) == 0
        assert process.stderr is not None
        assert process.stderr.read() == ""


def run(*arguments: str) -> tuple[int, str]:
    """Return the exit status and the errors of another command line."""
    done = subprocess.run(
        [*COMMAND, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert not done.stdout
    return done.returncode, done.stderr


def test_protos_are_compiled(our_server: str, tmp_path: Path) -> None:
    folder = ("--proto", "peer.proto", "-I", "bench/ttrpc")
    assert run(*folder, f"unix://{our_server}", "peer.v1.Echo/Fail", "9") == (
        1,
        "call: FAILED_PRECONDITION: failed with 9\n",
    )
    fault = tmp_path / "fault.proto"
    fault.write_text("message")
    status, errors = run("--proto", str(fault), f"unix://{our_server}", "a.B/C")
    assert status == 2
    assert errors.startswith("call: protoc: ")
    assert "fault.proto:1:" in errors


def test_what_is_missing_is_named(peers_api: str, tmp_path: Path) -> None:
    method = "peer.v1.Echo/Echo"
    nobody = f"unix://{tmp_path}/nobody.sock"
    assert run(nobody, method) == (
        2,
        "call: no service is known: give --proto or --descriptor-set\n",
    )
    status, errors = run("--descriptor-set", peers_api, nobody, method)
    assert status == 2
    assert errors.startswith(f"call: {nobody}: ")
    missing = str(tmp_path / "missing")
    assert run("--descriptor-set", missing, nobody, method) == (
        2,
        f"call: {missing}: No such file or directory\n",
    )
    status, errors = run("--descriptor-set", __file__, nobody, method)
    assert status == 2
    assert errors.startswith(f"call: {__file__}: not a descriptor set with all imp")


def test_a_server_that_hangs_up_is_an_error(peers_api: str, tmp_path: Path) -> None:
    path = str(tmp_path / "hangs-up.sock")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(path)
        listening.listen()
        with subprocess.Popen(
            [
                *(*COMMAND, "--descriptor-set", peers_api),
                *(f"unix://{path}", "peer.v1.Echo/Active"),
            ],
            cwd=ROOT,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            connection, _ = listening.accept()
            connection.recv(1)
            connection.close()
            assert process.wait(60) == 2
            assert process.stderr is not None
            assert process.stderr.read().startswith("call: ")
