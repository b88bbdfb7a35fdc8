# SPDX-License-Identifier: Apache-2.0
"""What `forward` says of a command line that is wrong; the rest is in tests/e2e."""

from __future__ import annotations

import pytest

from kata_host.ctl.program import main


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["web"], "the following arguments are required: TARGET"),
        (["web", "x"], "port 'x': not a number from 1 to 65535"),
        (["web", "1:2:3"], "address '1': not an IP address"),
    ],
)
def test_a_wrong_command_line(
    capsys: pytest.CaptureFixture[str], arguments: list[str], reason: str
) -> None:
    assert main(["forward", *arguments]) == 2
    assert reason in capsys.readouterr().err


def test_a_guest_whose_address_has_no_ports(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["forward", "unix:///none", "80"]) == 1
    assert "unix:///none" in capsys.readouterr().err
