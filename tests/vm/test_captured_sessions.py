# SPDX-License-Identifier: Apache-2.0
"""Sessions of real Kata runtimes, played against VMs: no answer differs.

A VM has the crun of Debian 13 and, unlike most hosts of local guests, all controllers
of cgroup v2, so that a container of the sessions runs out of memory there.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from kata_host.guest.image.store import Image
from kata_host.guest.vm_guest import VmGuest
from tests.helpers import vm
from tests.helpers.captured import joined_sessions
from tests.helpers.source_tree import ROOT

pytestmark = [pytest.mark.vm, pytest.mark.slow]

UNIFIED: Final = {"v1": "0", "v2": "1"}


@pytest.fixture(scope="module")
def guests(
    image: Image, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, VmGuest]]:
    """A guest for each version of cgroups, which the end of its sessions ends."""
    guests = {
        version: vm.agent_guest(
            image,
            tmp_path_factory.mktemp(version),
            f"agent.unified_cgroup_hierarchy={unified}",
        )
        for version, unified in UNIFIED.items()
    }
    with vm.booted(*guests.values()):
        yield guests


@pytest.mark.parametrize("version", UNIFIED)
def test_all_captured_sessions_replay(
    guests: dict[str, VmGuest], version: str, tmp_path: Path
) -> None:
    session = tmp_path / "sessions.jsonl"
    session.write_text(joined_sessions())
    command = [sys.executable, "-m", "ttrpc", "replay", "--gap=0.1", "--patience=60"]
    command += ["--api=kata_host.recording.api:API"]
    played = subprocess.run(
        [*command, str(session), guests[version].address],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert played.returncode == 0, played.stdout + played.stderr
    assert ", 0 differences that matter" in played.stdout
