# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from kata_host.ctl.program import COMMANDS, main
from kata_host.ctl.unknown_command import DOCKER


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("images", "no command 'images': here it is image ls"),
        ("exce", "no command 'exce': nearest is exec"),
        ("frobnicate", "no command 'frobnicate' (see kata-agent-ctl --help)"),
        ("\x1b[2J", "no command '\\x1b[2J' (see kata-agent-ctl --help)"),
    ],
)
def test_a_word_that_is_no_command(
    word: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([word, "--all"]) == 2
    assert capsys.readouterr().err == f"kata-agent-ctl: {said}\n"


def test_what_is_named_instead_exists() -> None:
    for words in DOCKER.values():
        first = words.split()[0].rstrip(",")
        assert first in COMMANDS or first in ("--version", "--help")
    assert not set(DOCKER) & set(COMMANDS)
