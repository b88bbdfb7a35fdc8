# SPDX-License-Identifier: Apache-2.0
"""How a command holds its guest; the guests of tests/e2e/test_run.py are real."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kata_host.ctl.errors import CommandError
from kata_host.ctl.own_guest import local_guest, vm_guest
from kata_host.forwarding.published_port import PublishedPort
from kata_host.guest.guest import GuestError


class FakeGuest:
    """A local guest that keeps its arguments and the calls that it gets."""

    directory = Path("/guest")
    address = "hvsock:///guest/sock:1024"

    def __init__(self, **arguments: Any) -> None:
        self.arguments = arguments
        self.steps: list[str] = []
        self.fails = False

    def start(self) -> None:
        self.steps.append("start")
        if self.fails:
            raise GuestError("local guest: no crun")

    def stop(self) -> None:
        self.steps.append("stop")


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[FakeGuest]:
    guests: list[FakeGuest] = []

    def make(**arguments: Any) -> FakeGuest:
        guests.append(FakeGuest(**arguments))
        return guests[-1]

    monkeypatch.setattr("kata_host.guest.local_guest.LocalGuest", make)
    return guests


def options(**given: Any) -> argparse.Namespace:
    defaults = {
        "debug": False,
        "trace": False,
        "cgroup": "auto",
        "rootfs": None,
        "volume": [],
        "publish": [],
        "shared": [],
        "devices": [],
        "warm": False,
        "network": "none",
    }
    return argparse.Namespace(**{**defaults, **given})


def test_a_guest_lives_as_long_as_the_block(made: list[FakeGuest]) -> None:
    with local_guest(options()) as target:
        assert made[0].steps == ["start"]
        assert target.address == FakeGuest.address
        assert target.scratch == Path("/guest/rootfs")
    assert made[0].steps == ["start", "stop"]


def test_a_guest_ends_with_a_block_that_fails(made: list[FakeGuest]) -> None:
    with pytest.raises(KeyError), local_guest(options()):
        raise KeyError
    assert made[0].steps == ["start", "stop"]


def test_a_guest_that_does_not_start_is_an_error_of_the_command(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    guest = FakeGuest()
    guest.fails = True
    make: Callable[..., FakeGuest] = lambda **_: guest  # noqa: E731
    monkeypatch.setattr("kata_host.guest.local_guest.LocalGuest", make)
    with pytest.raises(CommandError, match="local guest: no crun"):
        with local_guest(options()):
            pytest.fail("it runs")
    assert guest.steps == ["start", "stop"]


def test_options_become_settings_of_the_guest(
    made: list[FakeGuest], tmp_path: Path
) -> None:
    with local_guest(options(debug=True, trace=True, rootfs=tmp_path, cgroup="v2")):
        pass
    assert made[0].arguments == {
        "environment": {
            "KATA_AGENT_LOG_LEVEL": "debug",
            "KATA_AGENT_TRACING": "collated",
        },
        "cgroup": "v2",
        "shared": [tmp_path],
        "echo": True,
        "network": "none",
        "parameters": [],
    }


def test_a_guest_with_ports_has_a_forwarder(made: list[FakeGuest]) -> None:
    with local_guest(options(publish=[PublishedPort(80)])):
        pass
    assert made[0].arguments["parameters"] == ["agent.forward_vport=1028"]


def test_the_warning_of_a_vm_is_a_remark(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    guests = []

    def make(image: object, **arguments: Any) -> FakeGuest:
        guests.append(FakeGuest(**arguments))
        return guests[0]

    monkeypatch.setattr("kata_host.ctl.own_guest.ready_image", lambda: None)
    monkeypatch.setattr("kata_host.guest.warm_vm_guest.WarmVmGuest", make)
    with vm_guest(options(warm=True)):
        guests[0].arguments["warn"]("vm /x: boots, not restored: \x1b")
    assert capsys.readouterr().err == (
        "kata-agent-ctl: vm /x: boots, not restored: \\x1b\n"
    )


def test_an_archive_is_not_shared_because_it_is_unpacked_here(
    made: list[FakeGuest], tmp_path: Path
) -> None:
    archive = tmp_path / "root.tar"
    archive.touch()
    with local_guest(options(rootfs=archive)):
        pass
    assert made[0].arguments["shared"] == []
