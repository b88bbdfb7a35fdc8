# SPDX-License-Identifier: Apache-2.0
"""Sessions of real Kata runtimes, played against a local guest: no answer differs."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import pytest

from kata_host.guest.local_guest import LocalGuest
from tests.conformance.conftest import ADDRESS
from tests.helpers.captured import SESSIONS
from tests.helpers.namespace import require_root
from tests.helpers.source_tree import ROOT

CONTROLLERS: Final = Path("/sys/fs/cgroup/cgroup.controllers")


def has_memory_limits(cgroup: str) -> bool:
    """Tell whether a guest with this cgroup version can run out of its limit."""
    if cgroup == "v1":
        return Path("/sys/fs/cgroup/memory").is_dir()
    return CONTROLLERS.exists() and "memory" in CONTROLLERS.read_text().split()


def without_oom(lines: Sequence[str]) -> Iterator[str]:
    """Yield the lines of a session without the container that the OOM killer ends."""
    entries: list[dict[str, Any]] = [json.loads(line) for line in lines]
    killed = {
        entry["resp"]["container_id"]
        for entry in entries
        if entry.get("answer") == "GetOOMEvent"
    }
    dropped = set()
    for line, entry in zip(lines, entries, strict=True):
        if entry.get("req", {}).get("container_id") in killed:
            dropped.add(entry["sid"])
        elif entry.get("answer") != "GetOOMEvent" and entry.get("sid") not in dropped:
            yield line


@pytest.mark.root
@pytest.mark.skipif(bool(ADDRESS), reason="a session needs an agent for itself")
@pytest.mark.parametrize("cgroup", ["v1", "v2"])
@pytest.mark.parametrize("session", SESSIONS, ids=lambda path: path.stem)
def test_a_captured_session_replays(session: Path, cgroup: str, tmp_path: Path) -> None:
    require_root()
    if cgroup == "v1" and CONTROLLERS.exists():
        pytest.skip("this host has cgroup v2 alone")
    if not has_memory_limits(cgroup):
        lines = session.read_text().splitlines()
        session = tmp_path / session.name
        session.write_text("\n".join(without_oom(lines)))
    command = [sys.executable, "-m", "ttrpc", "replay", "--gap=0.1", "--patience=60"]
    command += ["--api=kata_host.recording.api:API"]
    with LocalGuest(cgroup=cgroup) as guest:
        played = subprocess.run(
            [
                *command,
                "--api=kata_host.recording.api:API",
                str(session),
                guest.address,
            ],
            cwd=ROOT,
            capture_output=True,
            text=True,
        )
    assert played.returncode == 0, played.stdout + played.stderr
    assert ", 0 differences that matter" in played.stdout
