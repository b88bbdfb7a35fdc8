# SPDX-License-Identifier: Apache-2.0
"""`python -m ttrpc tap` and `replay`, as a user runs them."""

from __future__ import annotations

import contextlib
import json
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.helpers.recorded import make_every_kind_of_call, serving
from tests.helpers.source_tree import ROOT
from ttrpc.__main__ import main

API: Final = ("--api", "tests.helpers.recorded:API")


@contextlib.contextmanager
def tapping(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    """Run a tap for the block, from when it listens."""
    command = [sys.executable, "-m", "ttrpc", "tap", *arguments]
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True) as tap:
        try:
            assert tap.stderr is not None
            assert tap.stderr.readline().startswith("tap: listening on ")
            yield tap
        finally:
            tap.send_signal(signal.SIGTERM)
        assert tap.wait(30) == 0


async def replayed(*arguments: str) -> tuple[int, str]:
    """Run a replay beside this loop's server; return its status and its output."""
    import asyncio

    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "ttrpc",
        "replay",
        "--gap=0.01",
        *arguments,
        cwd=ROOT,
        stdout=subprocess.PIPE,
    )
    output, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, output.decode()


async def test_a_recorded_session_replays(tmp_path: Path) -> None:
    file = tmp_path / "session.jsonl"
    async with serving(tmp_path) as address:
        with tapping(f"unix://{tmp_path}/tap.sock", address, str(file), *API):
            await make_every_kind_of_call(f"unix://{tmp_path}/tap.sock")
        status, output = await replayed(str(file), address, *API)
        assert output == (
            "5 calls played, 0 differences that matter; "
            "0 without a recorded answer, 0 left out\n"
        )
        assert status == 0
        changed = file.read_text().replace('"resp": "6"', '"resp": "7"')
        file.write_text(changed)
        status, output = await replayed(str(file), address, *API)
    assert "Len: value: recorded 7, now 6\n" in output
    assert status == 1
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert not (tmp_path / "tap.sock").exists()


async def test_secrets_are_recorded_only_when_asked(tmp_path: Path) -> None:
    texts = []
    for option in ((), ("--keep-data",)):
        file = tmp_path / "session.jsonl"
        async with serving(tmp_path) as address:
            listen = f"unix://{tmp_path}/tap.sock"
            with tapping(listen, address, str(file), *API, *option):
                await make_every_kind_of_call(listen)
        texts.append(file.read_text())
    assert json.loads(texts[0].splitlines()[0]) == {"recording": 1, "redacted": True}
    assert ["c2VjcmV0" in text for text in texts] == [False, True]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["tap", "nowhere", "unix:///a", "-"], "address 'nowhere': no scheme"),
        (["tap", "unix:///a", "unix:///b", "/no/such/file"], "No such file"),
        (["tap", "unix:///no/such/a", "unix:///b", "/dev/null"], "No such file"),
        (["replay", "/no/such/file", "unix:///a"], "No such file"),
        (["replay", "/dev/null", "unix:///a"], "/dev/null: no calls"),
        (["replay", "/dev/null", "unix:///a", "--api=x:Y"], "API 'x:Y'"),
        (["replay", "/dev/null", "unix:///a", "--descriptors=/none"], "No such file"),
    ],
)
def test_a_fault_is_told_in_one_line(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"{arguments[0]}: ")
    assert words in line
