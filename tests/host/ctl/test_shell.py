# SPDX-License-Identifier: Apache-2.0
"""A console that is a socket of the test's; tests/e2e/test_guest.py has a real one."""

from __future__ import annotations

import contextlib
import os
import pty
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kata_host.ctl import shell
from kata_host.ctl.program import main

Conversation = Callable[[socket.socket], None]


@contextlib.contextmanager
def console(path: Path, talk: Conversation) -> Iterator[None]:
    """Answer `CONNECT 1026` at `path`, then have `talk` talk."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                assert connection.recv(64) == b"CONNECT 1026\n"
                connection.sendall(b"OK 1\n")
                talk(connection)

        thread = threading.Thread(target=serve)
        thread.start()
        yield
        thread.join(timeout=30)
        assert not thread.is_alive()


def test_output_after_the_end_of_input_is_shown(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    received = []

    def talk(connection: socket.socket) -> None:
        while data := connection.recv(64):
            received.append(data)
        connection.sendall(b"and bye\n")

    reader, writer = os.pipe()
    monkeypatch.setattr(shell, "STDIN", reader)
    os.write(writer, b"exit\n")
    os.close(writer)
    with console(tmp_path / "g", talk):
        assert main(["shell", f"hvsock://{tmp_path}/g"]) == 0
    assert b"".join(received) == b"exit\n"
    assert capfd.readouterr().out == "and bye\n"
    os.close(reader)


def test_the_end_of_the_shell_ends_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader, writer = os.pipe()  # Input that does not end.
    monkeypatch.setattr(shell, "STDIN", reader)
    with console(tmp_path / "g", lambda connection: None):
        assert main(["shell", f"hvsock://{tmp_path}/g"]) == 0
    os.close(reader)
    os.close(writer)


def test_the_escape_key_hangs_up_and_is_not_sent(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    received = []

    def talk(connection: socket.socket) -> None:
        while data := connection.recv(64):
            received.append(data)

    user, program = pty.openpty()
    monkeypatch.setattr(shell, "STDIN", program)
    with console(tmp_path / "g", talk):
        # The keys wait in the terminal, which passes them on once it is raw.
        os.write(user, b"ls\x1dnot this\n")
        assert main(["shell", f"hvsock://{tmp_path}/g"]) == 0
    assert b"".join(received) == b"ls"
    assert "Ctrl-] hangs up" in capfd.readouterr().err
    os.close(user)
    os.close(program)
