# SPDX-License-Identifier: Apache-2.0
"""Sessions of real Kata runtimes, played against a local guest: no answer differs."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

import pytest

from kata_host.guest.local_guest import LocalGuest
from tests.conformance.conftest import ADDRESS
from tests.helpers.captured import LONGEST_PAUSE, SESSIONS, hastened
from tests.helpers.namespace import require_root
from tests.helpers.oci_runtimes import RUNTIMES, local_guest_with, session_for
from tests.helpers.source_tree import ROOT

API: Final = "kata_host.recording.api:API"
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


def played(session: Path, guest: LocalGuest) -> str:
    """Play a session; return nothing, or the differences that matter."""
    command = [sys.executable, "-m", "ttrpc", "replay", "--patience=60"]
    command += [f"--gap={LONGEST_PAUSE}"]
    with guest:
        done = subprocess.run(
            [*command, f"--api={API}", str(session), guest.address],
            cwd=ROOT,
            capture_output=True,
            text=True,
        )
    if done.returncode == 0 and ", 0 differences that matter" in done.stdout:
        return ""
    return f"{session.name}:\n{done.stdout}{done.stderr}"


@pytest.fixture(params=["v1", "v2"])
def cgroup(request: pytest.FixtureRequest) -> str:
    """A version of cgroups that a local guest can have."""
    require_root()
    version: str = request.param
    if version == "v1" and CONTROLLERS.exists():
        pytest.skip("this host has cgroup v2 alone")
    return version


@pytest.mark.root
@pytest.mark.slow
@pytest.mark.skipif(bool(ADDRESS), reason="a session needs an agent for itself")
@pytest.mark.parametrize("runtime", RUNTIMES)
def test_the_captured_sessions_replay(
    runtime: str, cgroup: str, tmp_path: Path
) -> None:
    """Three at a time, because a session waits more than it works."""
    limited = has_memory_limits(cgroup)
    sessions, guests = [], []
    with contextlib.ExitStack() as stack:
        # All programs are written before the first guest starts: a process that another
        # thread starts meanwhile would hold a program open for writing (ETXTBSY).
        for session in SESSIONS:
            scratch = tmp_path / session.stem
            scratch.mkdir()
            text = hastened(session.read_text(), pause=0.1)
            lines = session_for(runtime, text).splitlines()
            if not limited:
                lines = [*without_oom(lines)]
            session = scratch / session.name
            session.write_text("\n".join(lines))
            short = stack.enter_context(
                tempfile.TemporaryDirectory(prefix="kata-", dir="/tmp")
            )
            sessions.append(session)
            guests.append(
                local_guest_with(runtime, Path(short, "guest"), scratch, cgroup=cgroup)
            )
        with ThreadPoolExecutor(max_workers=3) as pool:
            assert "".join(pool.map(played, sessions, guests)) == ""
