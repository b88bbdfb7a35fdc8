# SPDX-License-Identifier: Apache-2.0
"""Programs that print to what is full, or of another encoding."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest


def test_what_an_encoding_lacks_is_escaped() -> None:
    program = (
        "from kata_host.standard_outputs import open_standard_outputs;"
        "open_standard_outputs(); print('caf\xe9')"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
        capture_output=True,
        check=True,
    )
    assert ran.stdout == b"caf\\xe9\n"


@pytest.mark.parametrize("words", [["call", "list"], ["--help"], ["--version"]])
def test_output_that_finds_no_room_is_a_failure_of_one_line(words: list[str]) -> None:
    with open("/dev/full", "wb") as full:
        ran = subprocess.run(
            [sys.executable, "-m", "kata_host.ctl", *words],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
        )
    assert ran.stderr == "kata-agent-ctl: standard output: No space left on device\n"
    assert ran.returncode == 1


def test_an_error_that_cannot_be_said_keeps_its_status() -> None:
    with open("/dev/full", "wb") as full:
        for words, status in ((["ps", "c1"], 2), (["run", "--cwd", "x"], 125)):
            command = [sys.executable, "-m", "kata_host.ctl", *words]
            assert subprocess.run(command, stderr=full).returncode == status
