# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import pytest

from kata_host.ctl.errors import CommandError
from kata_host.ctl.own_name import own_name


def test_the_name_is_that_of_the_file_that_is_meant(tmp_path: Path) -> None:
    assert own_name(tmp_path / "x" / "..") == tmp_path.name
    assert own_name(Path("/")) == ""
    (tmp_path / "loop").symlink_to("loop")
    assert own_name(tmp_path / "loop") == "loop"


def test_a_directory_that_is_gone_has_no_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    with pytest.raises(CommandError, match="No such file or directory"):
        own_name(Path())
