# SPDX-License-Identifier: Apache-2.0
"""Kernel modules, with a program in place of modprobe, so that none is loaded."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from kata_agent.errors import Internal, InvalidArgument, NotFound
from kata_agent.reaper import Reaper
from kata_agent.sandbox.kernel_modules import load_modules
from kata_protos.agent_pb2 import KernelModule


@pytest.fixture
async def reaper() -> AsyncIterator[Reaper]:
    with Reaper() as reaper:
        yield reaper


Calls = Callable[[], str]


@pytest.fixture
def calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Calls:
    """Return the arguments of modprobe so far; it refuses a module named `bad`."""
    record = tmp_path / "calls"
    program = tmp_path / "modprobe"
    program.write_text(
        f'#!/bin/sh\necho "$@" >>{record}\n'
        'case "$3" in bad) echo "FATAL: $3 not found" >&2; exit 1;; esac\n'
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin")
    return lambda: record.read_text() if record.exists() else ""


async def test_modules_and_their_parameters(reaper: Reaper, calls: Calls) -> None:
    modules = [
        KernelModule(name="overlay"),
        KernelModule(name="i915", parameters=["enable_ppgtt=0", "x=1"]),
    ]
    await load_modules(reaper, modules)
    assert calls() == "-v -- overlay\n-v -- i915 enable_ppgtt=0 x=1\n"


async def test_the_first_failure_ends_it(reaper: Reaper, calls: Calls) -> None:
    modules = [KernelModule(name="bad"), KernelModule(name="overlay")]
    with pytest.raises(Internal, match="kernel module 'bad': FATAL: bad not found"):
        await load_modules(reaper, modules)
    assert calls() == "-v -- bad\n"


@pytest.mark.parametrize("name", ["", "-r", "--show-depends"])
async def test_an_invalid_name_is_never_passed_on(
    reaper: Reaper, calls: Calls, name: str
) -> None:
    with pytest.raises(InvalidArgument, match=f"kernel module '{name}': invalid name"):
        await load_modules(reaper, [KernelModule(name=name)])
    assert calls() == ""


async def test_a_guest_without_modprobe(
    reaper: Reaper, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(NotFound, match="program 'modprobe': not found"):
        await load_modules(reaper, [KernelModule(name="overlay")])
