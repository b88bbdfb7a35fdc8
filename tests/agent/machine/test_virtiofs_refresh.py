# SPDX-License-Identifier: Apache-2.0
"""Looking up every shared mount, one of which never answers."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from kata_agent.machine import virtiofs_refresh
from kata_agent.machine.virtiofs_refresh import refresh_shared_mounts
from kata_agent.system_paths import SystemPaths

SHARED = "/run/kata-containers/shared/containers"


def mountinfo(*points: str) -> str:
    return "".join(f"30 25 0:30 / {point} rw - virtiofs kata rw\n" for point in points)


async def test_only_the_shared_mounts_are_looked_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "self").mkdir()
    points = (SHARED, f"{SHARED}/a\\040b", f"{SHARED}/hung", f"{SHARED}x/c", "/")
    (tmp_path / "self/mountinfo").write_text(mountinfo(*points))
    asked: list[str] = []
    answer = threading.Event()

    def stat(path: str) -> None:
        asked.append(path)
        if path.endswith("hung"):
            answer.wait()
        raise FileNotFoundError(path)

    monkeypatch.setattr(os, "stat", stat)
    monkeypatch.setattr(virtiofs_refresh, "TIMEOUT", 0.05)
    caplog.set_level("INFO")
    await refresh_shared_mounts(SystemPaths(proc=tmp_path))
    answer.set()
    monkeypatch.undo()
    assert sorted(asked) == [f"{SHARED}/a b", f"{SHARED}/hung"]
    assert len(caplog.records) == 2
