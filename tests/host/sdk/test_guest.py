# SPDX-License-Identifier: Apache-2.0
"""What needs no guest; tests/e2e/test_sdk.py has real ones."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from kata_host import Guest, Result
from kata_host.errors import FileError, GuestEnded, NotFound
from tests.helpers.fake_agent import FakeAgent


@pytest.mark.parametrize(
    ("options", "fault"),
    [
        ({"cpus": 0}, "cpus 0"),
        ({"memory": "much"}, "size 'much'"),
        ({"network": "host"}, "network 'host': neither 'none' nor 'user'"),
        ({"memory": 1000}, "memory 1000: less than 1 MiB"),
    ],
)
def test_a_wrong_machine_is_an_error(options: dict[str, Any], fault: str) -> None:
    with pytest.raises(ValueError, match=fault):
        Guest.vm(**options)


async def test_a_guest_that_is_not_started_runs_nothing() -> None:
    with pytest.raises(RuntimeError, match="not started"):
        await Guest.local().run(["true"])


async def test_a_guest_that_runs_is_connected_to_and_stays(
    agent: FakeAgent, address: str
) -> None:
    guest = Guest.connect(address)
    for _ in range(2):
        async with guest:
            assert await guest.run(["x"]) == Result(7, b"", b"")
            with pytest.raises(RuntimeError, match="already started"):
                await guest.start()
    assert not {"CreateSandbox", "DestroySandbox"} & {*agent.names()}


async def test_a_guest_that_is_started_twice_at_once_is_started_once(
    agent: FakeAgent, address: str
) -> None:
    guest = Guest.connect(address)
    first, second = await asyncio.gather(
        guest.start(), guest.start(), return_exceptions=True
    )
    assert first is guest
    assert str(second) == "guest: already started"
    await guest.stop()
    # One that could not be started may be tried again.
    gone = Guest.connect("unix:///no/agent", timeout=0)
    for _ in range(2):
        with pytest.raises(GuestEnded):
            await gone.start()


async def test_sizes_and_times_are_numbers_or_texts(
    agent: FakeAgent, address: str
) -> None:
    async with Guest.connect(address) as guest:
        agent.stdout = [bytes(2000)]
        result = await guest.run(["x"], output_limit="1k", timeout="1m", input="in")
        assert (len(result.stdout), result.is_cut) == (1024, True)
        for wrong in (
            {"timeout": "soon"},
            {"output_limit": "much"},
            {"output_limit": -1},
            {"user": "a:b"},
        ):
            with pytest.raises(ValueError, match="duration|size|user"):
                await guest.run(["x"], **wrong)  # type: ignore[arg-type]


async def test_a_file_of_this_host_that_cannot_be_read_is_no_end_of_the_guest(
    agent: FakeAgent, address: str, tmp_path: Path
) -> None:
    async with Guest.connect(address) as guest:
        with pytest.raises(NotFound, match=f"{tmp_path}/none: No such file"):
            await guest.run(["x"], files={"a": tmp_path / "none"})
        with pytest.raises(FileError, match=f"{tmp_path}: Is a directory"):
            await guest.run(["x"], files={"a": tmp_path})
    assert agent.names() == ["CreateContainer", "RemoveContainer"] * 2


async def test_a_guest_that_is_not_there_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    with pytest.raises(NotFound, match="guest 'nobody'"):
        await Guest.connect("nobody").start()
    with pytest.raises(ValueError, match="tcp"):
        await Guest.connect("tcp://x").start()
    with pytest.raises(GuestEnded, match="guest 'unix:"):
        await Guest.connect(f"unix://{tmp_path}/none", timeout=0.1).start()
