# SPDX-License-Identifier: Apache-2.0
"""The runtimes by name."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from kata_agent.errors import InvalidArgument
from kata_agent.reaper import Reaper
from kata_agent.runtime.crun_runtime import CrunRuntime
from kata_agent.runtime.registry import to_runtime
from kata_agent.runtime.runc_runtime import RuncRuntime


@pytest.fixture
async def reaper() -> Iterator[Reaper]:
    with Reaper() as reaper:
        yield reaper


async def test_a_runtime_is_found_by_its_name_or_its_path(reaper: Reaper) -> None:
    for name, runtime in (
        ("crun", CrunRuntime),
        ("runc", RuncRuntime),
        ("/usr/local/bin/crun", CrunRuntime),
    ):
        assert type(to_runtime(name, reaper=reaper, state=Path("/"))) is runtime


async def test_an_unknown_runtime_is_an_error_with_its_name(reaper: Reaper) -> None:
    with pytest.raises(InvalidArgument, match="runtime 'youki': not one of crun, runc"):
        to_runtime("youki", reaper=reaper, state=Path("/"))
