# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import os
import runpy
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.helpers.wire import Wire, request
from ttrpc.__main__ import main

ROOT = Path(__file__).parents[2]
GOLDEN = ROOT / "tests" / "ttrpc" / "data" / "golden"


def test_dump_prints_a_session(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["dump", str(GOLDEN / "echo.txt")]) == 0
    first, *_, last = capsys.readouterr().out.splitlines()
    assert first.startswith("> stream 1 REQUEST ")
    assert last.startswith("    OK, payload ")


def test_dump_reads_standard_input() -> None:
    result = subprocess.run(
        [sys.executable, "-m", "ttrpc", "dump", "-"],
        cwd=ROOT,
        input=bytes(10),
        capture_output=True,
        timeout=60,
    )
    assert result.stdout == b"stream 0 type 0 0 bytes\n"
    assert not result.stderr
    assert result.returncode == 0


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "No such file or directory"),
        (b"> oops", "line 1: not bytes in hexadecimal: '> oops'"),
    ],
)
def test_dump_names_a_fault_in_one_line(
    content: bytes | None,
    reason: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    file = tmp_path / "se\nssion"
    if content is not None:
        file.write_bytes(content)
    assert main(["dump", str(file)]) == 1
    printed = capsys.readouterr()
    assert printed.err == f"{tmp_path}/se\\nssion: {reason}\n"
    assert not printed.out


def test_dump_ends_when_its_reader_does(monkeypatch: pytest.MonkeyPatch) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as nobody:
        monkeypatch.setattr(sys, "stdout", nobody)
        assert main(["dump", str(GOLDEN / "stream_bidi.txt")]) == 0
        print("nobody minds what is still printed", flush=True)


def test_the_package_is_a_program(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["ttrpc", "dump", str(GOLDEN / "echo.txt")])
    with pytest.raises(SystemExit) as caught:
        runpy.run_path(str(ROOT / "ttrpc" / "__main__.py"), run_name="__main__")
    assert caught.value.code == 0
    assert capsys.readouterr().out.startswith("> stream 1 REQUEST ")


def test_a_command_is_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main([])
    assert caught.value.code == 2
    assert "python -m ttrpc" in capsys.readouterr().err


def wire_to(path: Path, listening: subprocess.Popen[bytes]) -> Wire:
    """Connect as soon as a process listens."""
    while listening.poll() is None:
        try:
            return Wire(str(path))
        except (FileNotFoundError, ConnectionRefusedError):
            time.sleep(0.01)
    raise AssertionError("it has ended")


def test_dump_shows_a_capture_of_socat(
    tmp_path: Path, our_server: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Make a capture in the way that the documentation describes."""
    via, session = tmp_path / "via.sock", tmp_path / "session.txt"
    with (
        open(session, "wb") as stderr,
        subprocess.Popen(
            ["socat", "-x", f"UNIX-LISTEN:{via}", f"UNIX-CONNECT:{our_server}"],
            stderr=stderr,
        ) as socat,
    ):
        with wire_to(via, socat) as wire:
            wire.send(request(1, "Echo", bytes(100_000)), request(3, "Nope"))
            wire.receive_many(2)
    assert main(["dump", str(session)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("> stream 1 REQUEST 100")
    assert lines[-1] == "    UNIMPLEMENTED: method Nope"
