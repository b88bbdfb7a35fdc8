# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
import time

import pytest

from kata_host.ctl.program import main
from kata_host.keeper.held_record import HeldRecord
from kata_host.keeper.record import ContainerRecord


@pytest.fixture(autouse=True)
def containers(guest_one: str) -> None:
    now = time.time()
    running = ContainerRecord(
        "web", "one", ["sh", "-c", "echo 'a \x1b[2J' and more than fits"], "busybox"
    )
    HeldRecord.create(running).write(
        created=now - 7300,
        started=now - 61,
        ports=["127.0.0.1:80:8000", "[::1]:1:/s"],
    )
    ended = ContainerRecord("old", "one", ["true"], "/r", created=now - 90000)
    HeldRecord.create(ended).write(ended=now - 1.5, status=3)


def test_the_table_has_those_that_run(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ps"]) == 0
    header, row = capsys.readouterr().out.splitlines()
    assert header.split() == [
        "CONTAINER",
        "GUEST",
        "ROOTFS",
        "COMMAND",
        "CREATED",
        "STATUS",
        "PORTS",
    ]
    assert row.startswith("web        one    busybox  sh -c ")
    assert "..." in row
    assert row.endswith("  2 hours ago  up 1 minute  127.0.0.1:80:8000 [::1]:1:/s")
    assert "\x1b" not in row


def test_all_are_those_that_ended_too(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ps", "-a"]) == 0
    assert "exited (3) 1 second ago" in capsys.readouterr().out
    assert main(["ps", "-aq"]) == 0
    assert capsys.readouterr().out == "old\nweb\n"


def test_json_is_an_object_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ps", "--all", "--format", "json", "--guest", "one"]) == 0
    old, web = map(json.loads, capsys.readouterr().out.splitlines())
    assert (old["id"], old["state"], old["status"]) == ("old", "exited", 3)
    assert (web["state"], web["rootfs"]) == ("running", "busybox")


def test_a_guest_of_others_has_no_list(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ps", "--guest", "unix:///x"]) == 1
    assert "guest 'unix:///x': not of `guest list`" in capsys.readouterr().err
