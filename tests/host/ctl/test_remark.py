# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from kata_host.ctl.remark import remark


def test_a_guest_writes_nothing_to_the_terminal(
    capsys: pytest.CaptureFixture[str],
) -> None:
    remark("left out: \x1b[2J\nforged")
    written = capsys.readouterr()
    assert written.out == ""
    assert written.err.startswith("kata-agent-ctl: left out: ")
    assert "\x1b" not in written.err
    assert written.err.count("\n") == 1
