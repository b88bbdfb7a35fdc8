# SPDX-License-Identifier: Apache-2.0
"""The freezer with files in place of the kernel's; `test_cgroup` has the kernel's."""

from __future__ import annotations

from pathlib import Path

import pytest

from kata_agent.cgroup.freezer_v1 import FreezerV1
from kata_agent.errors import InvalidState, Timeout, Unavailable


def new_freezer(directory: Path, state: str = "FREEZING\n") -> FreezerV1:
    directory.mkdir()
    (directory / "freezer.state").write_text(state)
    return FreezerV1(directory)


def test_a_stuck_freeze_is_thawed_and_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    freezer = new_freezer(tmp_path / "c1")
    written: list[str] = []

    def write(path: Path, text: str) -> None:
        written.append(text)
        # This kernel finishes a freeze only after a thaw.
        done = "THAWED" in written and text == "FROZEN"
        path.write_text("FROZEN\n" if done else "FREEZING\n")

    monkeypatch.setattr("kata_agent.cgroup.freezer_v1.write", write)
    freezer.freeze(20, lambda: True)
    assert written[-2:] == ["THAWED", "FROZEN"]
    assert written.count("THAWED") == 1


def test_a_freeze_that_never_ends_is_a_timeout_and_undone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[str] = []
    freezer = new_freezer(tmp_path / "c1")
    monkeypatch.setattr(
        "kata_agent.cgroup.freezer_v1.write", lambda _, text: written.append(text)
    )
    with pytest.raises(Timeout, match="cgroup 'c1': not frozen within 0.01 s"):
        freezer.freeze(0.01, lambda: True)
    assert written[-1] == "THAWED"


def test_a_freeze_gives_way_to_a_kill(tmp_path: Path) -> None:
    freezer = new_freezer(tmp_path / "c1")
    answers = iter([True, False])
    with pytest.raises(InvalidState, match="cgroup 'c1': killed, cannot be frozen"):
        freezer.freeze(
            20,
            lambda: bool(
                (tmp_path / "c1" / "freezer.state").write_text("FREEZING")
                and next(answers)
            ),
        )
    assert (tmp_path / "c1" / "freezer.state").read_text().startswith("THAWED")


def test_only_cgroups_that_are_frozen_themselves_are_thawed(tmp_path: Path) -> None:
    freezer = new_freezer(tmp_path / "c1", "FROZEN")
    new_freezer(tmp_path / "c1/a", "FROZEN")
    new_freezer(tmp_path / "c1/a/b", "FROZEN")
    (tmp_path / "c1/freezer.self_freezing").write_text("0\n")
    (tmp_path / "c1/a/b/freezer.self_freezing").write_text("1\n")
    freezer.thaw_all()
    states = [path.read_text() for path in sorted(tmp_path.rglob("freezer.state"))]
    assert sorted(states) == ["FROZEN", "FROZEN", "THAWED"]


def test_a_cgroup_without_a_freezer_is_unavailable(tmp_path: Path) -> None:
    freezer = FreezerV1(tmp_path / "c1")
    freezer.thaw_all()
    for act in (freezer.thaw, lambda: freezer.freeze(1, lambda: True)):
        with pytest.raises(Unavailable, match="cgroup 'c1': no freezer"):
            act()
