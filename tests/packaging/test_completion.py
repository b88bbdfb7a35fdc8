# SPDX-License-Identifier: Apache-2.0
"""Completion in real shells, with names that the real program tells."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Final

import pytest

from kata_host.guest.guest_entry import GuestEntry
from kata_host.guest.held_entry import HeldEntry
from kata_host.keeper.held_record import HeldRecord
from kata_host.keeper.record import ContainerRecord
from tests.helpers import shells
from tests.helpers.source_tree import ROOT

OFFERS: Final = {
    "bash": shells.bash_offers,
    "zsh": shells.zsh_offers,
    "fish": shells.fish_offers,
}


@pytest.fixture(scope="module")
def share(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that a wheel installs, made as the wheel's is."""
    prefix = tmp_path_factory.mktemp("prefix")
    subprocess.run([sys.executable, ROOT / "docs/tools/share.py", prefix], check=True)
    return prefix / "share"


@pytest.fixture
def variables(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[dict[str, str]]:
    """An environment with two guests, and a container in one of them."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    with HeldEntry("one") as one, HeldEntry("two") as two:
        one.write(GuestEntry("one", "local", "hvsock:///one:1024", pid=os.getpid()))
        two.write(GuestEntry("two", "local", "hvsock:///two:1024", pid=os.getpid()))
        (tmp_path / "kata-agent/one").mkdir()
        HeldRecord.create(ContainerRecord("web", "one", ["true"], "/r"))
        yield {
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "HOME": str(tmp_path),
            "XDG_RUNTIME_DIR": str(tmp_path),
            "KATA_IMAGE_STORE": str(tmp_path / "images"),
            "LC_ALL": "C.UTF-8",
        }


@pytest.mark.parametrize("shell", shells.SHELLS)
@pytest.mark.parametrize(
    ("line", "offered", "others"),
    [
        ("kata-agent-ctl r", {"run", "rm"}, {"exec", "stop"}),
        ("kata-agent-ctl guest st", {"start", "stop"}, {"list"}),
        ("kata-agent-ctl run --pid", {"--pid", "--pids"}, {"--user"}),
        ("kata-agent-ctl ps --format ", {"table", "json"}, {"one", "web"}),
        ("kata-agent-ctl run --guest ", {"one", "two"}, {"web"}),
        ("kata-agent-ctl exec -it -e A=b ", {"web"}, {"one", "two"}),
        ("kata-agent-ctl logs ", {"one", "two", "web"}, set()),
        ("kata-agent-ctl stop web w", {"web"}, {"one"}),
        ("kata-trace-forwarder --so", {"--socket-mode", "--socket-group"}, {"--to"}),
    ],
)
def test_a_shell_offers_what_may_follow(
    shell: str,
    line: str,
    offered: set[str],
    others: set[str],
    share: Path,
    variables: dict[str, str],
) -> None:
    shells.require_programs(shell)
    words = OFFERS[shell](line, share, variables)
    assert offered <= words
    assert not others & words


@pytest.mark.parametrize("shell", shells.SHELLS)
def test_a_shell_offers_files_of_this_host(
    shell: str, share: Path, variables: dict[str, str], tmp_path: Path
) -> None:
    shells.require_programs(shell)
    for name in ("aa.env", "ab.env"):
        (tmp_path / name).touch()
    words = OFFERS[shell](
        f"kata-agent-ctl run --env-file {tmp_path}/a", share, variables
    )
    assert {"aa.env", "ab.env"} <= {Path(word).name for word in words}


@pytest.mark.parametrize(
    "place",
    [
        "bash-completion/completions/kata-agent-ctl",
        "zsh/site-functions/_kata-agent-ctl",
        "fish/vendor_completions.d/kata-agent-ctl.fish",
    ],
)
def test_a_script_asks_for_names_only_when_they_are_wanted(
    place: str, share: Path
) -> None:
    """zsh evaluates the whole file at each TAB, so the question is in a function."""
    lines = (share / place).read_text().splitlines()
    asking = [
        (before, line) for before, line in pairwise(lines) if "guest list -q" in line
    ]
    assert asking
    assert all("_guests" in before for before, _ in asking)
