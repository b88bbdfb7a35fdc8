# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
import signal

import pytest

from kata_host.image.config import PORTS, ExposedPort, ImageConfig
from kata_host.image.errors import ImageError
from tests.helpers.saved_images import config_of


def parse(**values: object) -> ImageConfig:
    return ImageConfig.parse(config_of([b"layer"], **values), "config")


def test_every_value_is_read() -> None:
    config = parse(
        Env=["PATH=/bin", "A=b=c", "EMPTY="],
        User="nobody:tty",
        WorkingDir="/srv",
        Entrypoint=["/bin/app", "-v"],
        Cmd=["serve"],
        ExposedPorts={"80/tcp": {}, "53/udp": {}, "7000-7002": {}},
        StopSignal="SIGQUIT",
        Labels={"a": "b"},
    )
    assert config.env == {"PATH": "/bin", "A": "b=c", "EMPTY": ""}
    assert (config.user, config.working_dir) == ("nobody:tty", "/srv")
    assert config.command() == ("/bin/app", "-v", "serve")
    assert config.command(("stop",)) == ("/bin/app", "-v", "stop")
    assert config.command((), ("/bin/sh",)) == ("/bin/sh",)
    assert config.command(("-c",), ()) == ("-c",)
    assert config.exposed_ports == (
        ExposedPort(80),
        ExposedPort(53, "udp"),
        ExposedPort(7000),
        ExposedPort(7001),
        ExposedPort(7002),
    )
    assert config.stop_signal == signal.SIGQUIT
    assert config.labels == {"a": "b"}
    assert len(config.diff_ids) == 1


def test_ranges_of_ports_are_bounded() -> None:
    """A few bytes each, and 65,535 ports."""
    ranges = [f"1-65535/{protocol}" for protocol in ("tcp", "udp", "sctp")]
    assert len(parse(ExposedPorts=dict.fromkeys(ranges)).exposed_ports) == PORTS
    many = dict.fromkeys([*ranges, *(f"{n}-65535" for n in range(1, 65_535))])
    with pytest.raises(ImageError, match="^config: more than 196605 ports"):
        parse(ExposedPorts=many)


def test_nothing_is_needed() -> None:
    config = ImageConfig.parse(b"{}", "config")
    assert (config.command(), config.working_dir, config.user) == ((), "/", "")
    assert config.stop_signal == signal.SIGTERM
    assert parse(WorkingDir="srv").working_dir == "/srv"


@pytest.mark.parametrize(
    ("name", "number"),
    [("SIGUSR1", 10), ("usr1", 10), ("15", 15), ("RTMIN+3", 37), ("SIGRTMAX-1", 63)],
)
def test_a_signal_has_several_names(name: str, number: int) -> None:
    assert parse(StopSignal=name).stop_signal == number


@pytest.mark.parametrize(
    "values",
    [
        {"Env": "PATH=/bin"},
        {"Env": [7]},
        {"Cmd": "/bin/sh"},
        {"User": 0},
        {"User": "a\0b"},
        {"StopSignal": "SIGNOTHING"},
        {"StopSignal": "0"},
        {"StopSignal": "99999999999"},
        {"StopSignal": "RTMIN+99"},
        {"ExposedPorts": {"http": {}}},
        {"ExposedPorts": {"0/tcp": {}}},
        {"ExposedPorts": {"65536": {}}},
        {"ExposedPorts": {"9-8": {}}},
        {"Labels": ["a"]},
    ],
)
def test_a_value_of_another_kind_is_refused(values: dict[str, object]) -> None:
    with pytest.raises(ImageError, match="^config: "):
        parse(**values)


@pytest.mark.parametrize(
    "whole",
    [
        [],
        {"rootfs": {"diff_ids": ["x"]}},
        {"rootfs": {"diff_ids": ["sha256:" + "a" * 64] * 501}},
        {"os": 7},
        {"config": []},
    ],
)
def test_a_whole_of_another_kind_is_refused(whole: object) -> None:
    with pytest.raises(ImageError, match="^config"):
        ImageConfig.parse(json.dumps(whole).encode(), "config")
