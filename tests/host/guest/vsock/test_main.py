# SPDX-License-Identifier: Apache-2.0
"""The backend as a process, which is how a VM guest starts it."""

from __future__ import annotations

import os
import socket
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from kata_host.child import child_environment, module_command
from kata_host.guest.vsock.__main__ import _listen
from kata_host.guest.vsock.vhost_user_message import Request
from tests.helpers.virtio import Qemu

TIMEOUT = 20


@pytest.fixture
def process(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    command = module_command(
        *("kata_host.guest.vsock", str(tmp_path / "vhost"), str(tmp_path / "guest")),
        "9",
    )
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=child_environment(),
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield process
        process.kill()


def test_its_sockets_are_its_users_alone_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        with _listen(tmp_path / "guest", 1):
            assert stat.S_IMODE((tmp_path / "guest").stat().st_mode) == 0o600
    finally:
        os.umask(before)


def connect(tmp_path: Path) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(TIMEOUT)
    connection.connect(str(tmp_path / "vhost"))
    return connection


def test_it_serves_qemu_and_ends_with_it(
    process: subprocess.Popen[str], tmp_path: Path
) -> None:
    with connect(tmp_path) as connection:
        wanted = bytes([0, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0]) + bytes(8)
        config = Qemu(connection).ask(Request.GET_CONFIG, wanted)
        assert config[12:] == (9).to_bytes(8, "little")
    assert process.wait(TIMEOUT) == 0


def test_a_broken_protocol_is_one_line_and_status_1(
    process: subprocess.Popen[str], tmp_path: Path
) -> None:
    with connect(tmp_path) as connection:
        Qemu(connection).send(99)
        assert process.wait(TIMEOUT) == 1
    assert process.stderr is not None
    assert process.stderr.read() == (
        "kata_host.guest.vsock: vhost-user: unknown request 99\n"
    )


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["/no/v", "/no/s"], "/no/s: No such file or directory"),
        (["/no/v", "/no/" + "s" * 200], "AF_UNIX path too long"),
        (["v", "s", "2"], "cid: invalid guest_cid value: '2'"),
        (["v", "s", "-1"], "cid: invalid guest_cid value: '-1'"),
        (["v", "s", "4294967295"], "invalid guest_cid value"),
    ],
)
def test_an_argument_that_cannot_be_used_is_named(
    arguments: list[str], words: str
) -> None:
    command = module_command("kata_host.guest.vsock", *arguments)
    ended = subprocess.run(
        command, capture_output=True, text=True, env=child_environment()
    )
    assert ended.returncode in (1, 2)
    assert words in ended.stderr
    assert "Traceback" not in ended.stderr
