# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from kata_host.client import Result
from kata_host.errors import CommandFailed, OutOfMemory


def test_a_result_without_fault_is_returned() -> None:
    result = Result(0, b"caf\xc3\xa9\xff", b"")
    assert result.check() is result
    assert result.text == "caf\u00e9\ufffd"


@pytest.mark.parametrize(
    ("killed", "kind", "text"),
    [
        (False, CommandFailed, "command: ended by SIGKILL: last"),
        (True, OutOfMemory, "command: ended by SIGKILL: out of memory: last"),
    ],
)
def test_a_result_with_a_fault_is_an_error_that_has_its_output(
    killed: bool, kind: type[CommandFailed], text: str
) -> None:
    with pytest.raises(kind) as raised:
        Result(137, b"out", b"first\nlast\n", oom_killed=killed).check()
    error = raised.value
    assert type(error) is kind
    assert str(error) == text
    assert (error.status, error.stdout, error.stderr) == (137, b"out", b"first\nlast\n")


def test_the_words_of_a_command_write_nothing_else_to_a_terminal() -> None:
    with pytest.raises(CommandFailed, match=r"^command: exit status 1: \\x1b\[2Jno$"):
        Result(1, b"", b"\x1b[2Jno\n").check()
