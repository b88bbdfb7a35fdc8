# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json

import pytest

from kata_host.ctl.program import main
from kata_host.keeper.held_record import HeldRecord
from kata_host.keeper.record import ContainerRecord


def test_all_that_is_known_is_an_array(
    guest_one: str, address: str, capsys: pytest.CaptureFixture[str]
) -> None:
    record = ContainerRecord("web", "one", env=["A=b"], memory=5, ended=1.0, status=2)
    HeldRecord.create(record).close()
    assert main(["inspect", "web"]) == 0
    (web,) = json.loads(capsys.readouterr().out)
    assert (web["env"], web["memory"], web["status"]) == (["A=b"], 5, 2)
    assert (web["state"], web["address"]) == ("exited", address)
    assert main(["inspect", "one/other"]) == 1
    assert "container 'other': not started" in capsys.readouterr().err
