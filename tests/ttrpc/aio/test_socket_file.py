# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import os
import socket
import stat
from pathlib import Path

from ttrpc.aio.socket_file import SocketFile, set_rights


def test_a_bound_socket_has_a_file(tmp_path: Path) -> None:
    path = tmp_path / "a.sock"
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(path))
        file = SocketFile.of(sock)
        assert file == SocketFile(str(path), path.stat().st_ino)
        file.remove()
    assert not path.exists()


def test_other_sockets_have_none(tmp_path: Path) -> None:
    unbound, abstract = socket.socket(socket.AF_UNIX), socket.socket(socket.AF_UNIX)
    inet, orphan = socket.socket(socket.AF_INET), socket.socket(socket.AF_UNIX)
    with unbound, abstract, inet, orphan:
        abstract.bind(f"\0ttrpc-test-{os.getpid()}")
        orphan.bind(str(tmp_path / "gone.sock"))
        (tmp_path / "gone.sock").unlink()
        for sock in (unbound, abstract, inet, orphan):
            assert SocketFile.of(sock) is None


def test_a_file_in_its_place_stays(tmp_path: Path) -> None:
    path = tmp_path / "a.sock"
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(path))
        file = SocketFile.of(sock)
        assert file is not None
        path.rename(tmp_path / "elsewhere")
        path.write_text("another's")
        file.remove()
    assert path.read_text() == "another's"


def test_a_file_that_has_gone_is_no_error(tmp_path: Path) -> None:
    SocketFile(str(tmp_path / "gone"), 1).remove()


def test_rights_are_set_where_they_are_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "a.sock"
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(path))
        path.chmod(0o700)
        for mode, owner, expected in (
            (None, None, 0o700),
            (None, (-1, -1), 0o700),
            (0o660, None, 0o660),
            (0o600, (os.geteuid(), os.getegid()), 0o600),
        ):
            set_rights(str(path), mode, owner)
            assert stat.S_IMODE(path.stat().st_mode) == expected
