# SPDX-License-Identifier: Apache-2.0
"""The command line of `cp`; tests/e2e/test_cp.py has a real agent."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from kata_host.ctl.program import main
from tests.helpers.fake_agent import FakeAgent

SHARED = "/run/kata-containers/shared/containers"


@pytest.mark.parametrize(
    ("name", "path"), [([], "file"), (["mine"], "mine"), (["/a/b/"], "a/b")]
)
async def test_the_path_in_the_guest_is_printed(
    agent: FakeAgent,
    address: str,
    tmp_path: Path,
    name: list[str],
    path: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "file").write_text("x")
    arguments = ["cp", "--guest", address, str(tmp_path / "file"), *name]
    assert await asyncio.to_thread(main, arguments) == 0
    assert capsys.readouterr().out == f"{SHARED}/{path}\n"
    assert agent.requests[0].path == f"{SHARED}/{path}"


async def test_a_refusal_is_one_line(
    agent: FakeAgent,
    address: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    agent.refused = {"CopyFile"}
    arguments = ["cp", "--guest", address, str(tmp_path)]
    assert await asyncio.to_thread(main, arguments) == 1
    said = capsys.readouterr()
    assert (said.out, said.err) == ("", "kata-agent-ctl: INTERNAL: CopyFile refused\n")


def test_the_root_directory_needs_a_name(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cp", "--guest", "unix:///x", "/"]) == 2
    assert "'/': needs a name" in capsys.readouterr().err
