# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import pytest

from kata_host.ctl.errors import CommandError
from kata_host.ctl.trace_page import check_page, write_page
from kata_host.trace.received_span import ReceivedSpan


def test_the_check_leaves_an_older_page(tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    write_page(path, [ReceivedSpan("t", "a", "", "some.step", 1, 2)])
    page = path.read_text()
    check_page(path)
    assert path.read_text() == page
    assert "some.step" in page


def test_a_place_without_room_is_named(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="/dev/full: No space left on device"):
        write_page(Path("/dev/full"), [])
    with pytest.raises(CommandError, match="no/page: No such file or directory"):
        check_page(tmp_path / "no" / "page")
