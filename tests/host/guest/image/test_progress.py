# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import io
import re

import pytest

from kata_host.guest.image.progress import Progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_without_a_terminal_each_step_is_one_line_at_its_end() -> None:
    stream = io.StringIO()
    progress = Progress(stream)
    with progress.step("unpack"):
        progress.update(1, 2)
        assert stream.getvalue() == ""
    assert re.fullmatch(r"unpack +\d+\.\d s\n", stream.getvalue())


def test_on_a_terminal_a_line_is_rewritten_in_place() -> None:
    stream = Terminal()
    progress = Progress(stream)
    with progress.step("unpack"):
        progress.update(1, 2)
    started, halfway, ended = stream.getvalue().split("\r")[1:]
    assert started.startswith("unpack")
    assert "[##########          ] 1/2" in halfway
    assert re.search(r"\d\.\d s\033\[K\n$", ended)


def test_a_step_without_parts_is_no_error() -> None:
    progress = Progress(Terminal())
    with progress.step("nothing"):
        progress.update(0, 0)


def test_a_failed_step_does_not_say_that_it_is_done() -> None:
    stream = io.StringIO()
    with pytest.raises(OSError, match="disk"), Progress(stream).step("unpack"):
        raise OSError("disk full")
    assert stream.getvalue() == ""


def test_a_note_is_a_line_of_its_own() -> None:
    stream = io.StringIO()
    Progress(stream).note("41 MiB")
    assert stream.getvalue() == "41 MiB\n"
