# SPDX-License-Identifier: Apache-2.0
"""The pause process, in namespaces of its own."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from kata_agent.errors import Internal
from kata_agent.linux.mountinfo import read_mounts
from kata_agent.sandbox.pause import start_pause
from tests.helpers.namespace import World, in_namespaces

ROOT = Path("/run/pause")


@in_namespaces("v1")
async def test_it_has_no_file_system_and_no_rights(world: World) -> None:
    ROOT.mkdir()
    before = Path("/proc/self/mountinfo").read_text()
    pid = start_pause(ROOT, pivot_root=True)
    process = Path("/proc", str(pid))
    (mount,) = read_mounts(process / "mountinfo")
    assert (mount.point, mount.fstype) == ("/", "tmpfs")
    assert list((process / "root").iterdir()) == []
    status = (process / "status").read_text()
    assert "Uid:\t65534" in status
    assert "CapPrm:\t0000000000000000" in status
    links = [os.readlink(file) for file in (process / "fd").iterdir()]
    assert not [link for link in links if link.startswith(("/proc", str(process)))]
    # The mounts of the test are not changed.
    assert Path("/proc/self/mountinfo").read_text() == before


@in_namespaces("v1")
async def test_it_calls_itself_pause(world: World) -> None:
    ROOT.mkdir()
    process = Path("/proc", str(start_pause(ROOT, pivot_root=True)))
    assert (process / "comm").read_text() == "pause\n"
    assert (process / "cmdline").read_bytes().rstrip(b"\0") == b"pause"


@in_namespaces("v1")
async def test_a_process_that_does_not_start_is_an_error(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    ROOT.mkdir()
    monkeypatch.setattr(sys, "executable", "/bin/true")
    with pytest.raises(Internal, match="pause process: not started"):
        start_pause(ROOT, pivot_root=True)
