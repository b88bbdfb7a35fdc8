# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from kata_host.ctl import program
from kata_host.ctl.errors import RUN_FAILED, USAGE


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["run", "--warm", "--", "true"], "--warm: needs --vm"),
        (["run", "--local", "--warm", "--", "true"], "--warm: needs --vm"),
        (["run", "--guest", "a", "--warm", "--", "true"], "--warm: needs --vm"),
        (["guest", "start", "--warm"], "--warm: needs --vm"),
        (
            ["run", "--vm", "--warm", "--trace", "--", "true"],
            "--warm: not with --trace or --debug",
        ),
        (
            ["run", "--vm", "--warm", "--debug", "--", "true"],
            "--warm: not with --trace or --debug",
        ),
    ],
)
def test_only_a_vm_without_traces_is_restored(
    words: list[str], reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert program.main(words) == (RUN_FAILED if words[0] == "run" else USAGE)
    assert reason in capsys.readouterr().err
