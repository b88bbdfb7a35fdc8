# SPDX-License-Identifier: Apache-2.0
"""Scores of real processes."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from kata_agent.container.oom_score import set_oom_score

PROC = Path("/proc")


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(["sleep", "1000"])
    yield process
    process.kill()
    process.wait()


def test_the_score_is_set(sleeper: subprocess.Popen[bytes]) -> None:
    set_oom_score(PROC, sleeper.pid, 300)
    assert (PROC / str(sleeper.pid) / "oom_score_adj").read_text() == "300\n"


def test_a_process_that_has_ended_is_no_error(
    sleeper: subprocess.Popen[bytes],
) -> None:
    sleeper.kill()
    sleeper.wait()
    set_oom_score(PROC, sleeper.pid, 300)


def test_a_score_that_is_refused_is_logged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(path: Path, text: str) -> int:
        raise PermissionError

    monkeypatch.setattr(Path, "write_text", refuse)
    set_oom_score(tmp_path, os.getpid(), -500)
    (logged,) = caplog.records
    assert logged.__dict__["score"] == -500
