# SPDX-License-Identifier: Apache-2.0
"""Sessions of real Kata runtimes, played against VMs: no answer differs.

A VM has the crun of Debian 13 and, unlike most hosts of local guests, all controllers
of cgroup v2, so that a container of the sessions runs out of memory there.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from kata_host.ctl.rootfs import make_busybox
from kata_host.guest.image.store import Image
from kata_host.guest.vm_guest import VmGuest
from kata_host.recording.surroundings import ROOTFS_VARIABLE
from tests.helpers import vm
from tests.helpers.captured import LONGEST_PAUSE, commands, hastened, joined_sessions
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
            cpus=1,
            # One container of the sessions asks for 500 MiB at once.
            memory=1024,
        )
        for version, unified in UNIFIED.items()
    }
    with vm.booted(*guests.values()):
        yield guests


def make_small_busybox(root: Path) -> Path:
    """Make a root file system with the programs that the sessions name.

    A replay copies one to the guest for each container, file by file.
    """
    make_busybox(root)
    needed = commands() | {"busybox"}
    for program in (root / "bin").iterdir():
        if program.name not in needed:
            program.unlink()
    return root


@pytest.mark.timeout(300, func_only=True)  # 900 calls and 50 containers, emulated
def test_all_captured_sessions_replay(
    guests: dict[str, VmGuest], tmp_path: Path
) -> None:
    session = tmp_path / "sessions.jsonl"
    session.write_text(hastened(joined_sessions(), pause=0.05))
    rootfs = make_small_busybox(tmp_path / "rootfs")
    command = [sys.executable, "-m", "ttrpc", "replay", "--patience=60"]
    command += [f"--gap={LONGEST_PAUSE}", "--api=kata_host.recording.api:API"]
    with contextlib.ExitStack() as stack:
        replays = {
            version: stack.enter_context(
                subprocess.Popen(
                    [*command, str(session), guest.address],
                    cwd=ROOT,
                    env={**os.environ, ROOTFS_VARIABLE: os.fspath(rootfs)},
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    text=True,
                )
            )
            for version, guest in guests.items()
        }
        for replay in replays.values():
            stack.callback(replay.kill)
        outputs = {
            version: replay.communicate()[0] for version, replay in replays.items()
        }
    for version, output in outputs.items():
        assert ", 0 differences that matter" in output, f"{version}: {output}"
        assert replays[version].returncode == 0, f"{version}: {output}"
