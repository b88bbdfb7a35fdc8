# SPDX-License-Identifier: Apache-2.0
"""Listening sockets of the trace port, and giving up root once they are there."""

from __future__ import annotations

import grp
import os
import pwd
import socket
import stat
from pathlib import Path
from typing import Final

from kata_host.forwarder.server import Listener
from ttrpc.address import HybridVsockAddress, UnixAddress, VsockAddress, parse_address

BACKLOG: Final = 64
SOCKET_MODE: Final = 0o600
"""The VMM connects, not the guest itself; `--socket-mode` lets others in."""


def listen(address: str, *, mode: int = SOCKET_MODE) -> Listener:
    """Listen on an address.

    unix:///run/trace.sock               that socket
    hvsock:///run/vm/clh.sock:10240      what the guest of that socket connects to
                                         by port 10240: /run/vm/clh.sock_10240
    vsock://-1:10240                     every guest of this host's vhost-vsock

    Raises `ValueError` for anything else, `OSError` when it cannot be had.
    """
    parsed = parse_address(address)
    match parsed:
        case UnixAddress(path) if path.startswith("/"):
            return listen_unix(Path(path), mode=mode)
        case HybridVsockAddress(path, port):
            return listen_unix(Path(f"{path}_{port}"), mode=mode)
        case VsockAddress(cid, port):
            listener = socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM)
            try:
                listener.bind((cid, port))
                listener.listen(BACKLOG)
            except BaseException:
                listener.close()
                raise
            return Listener(listener, str(parsed))
        case _:
            raise ValueError(f"address {address!r}: the trace port has no such form")


def listen_unix(path: Path, *, mode: int = SOCKET_MODE) -> Listener:
    """Listen on a unix socket; one that nobody listens on any more is replaced.

    Raises `FileExistsError` when something else has the path.
    """
    _remove_stale(path)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        # Not by chmod: whose directory it is may put a link in its place meanwhile.
        umask = os.umask(0o777 & ~mode)
        try:
            listener.bind(os.fspath(path))
        finally:
            os.umask(umask)
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        # The kernel does not say which.
        raise OSError(error.errno, error.strerror or str(error), str(path)) from error
    return Listener(listener, f"unix://{path}")


def drop_privileges(user: str) -> None:
    """Become `user` for good, with that user's primary group and no other.

    Raises `KeyError` for an unknown user, `PermissionError` unless root.
    """
    entry = pwd.getpwnam(user)
    os.setgroups([])
    os.setgid(entry.pw_gid)
    os.setuid(entry.pw_uid)


def give_to_group(path: Path, group: str) -> None:
    """Hand a socket to a group. Raises `KeyError` for an unknown one."""
    os.chown(path, -1, grp.getgrnam(group).gr_gid, follow_symlinks=False)


def _remove_stale(path: Path) -> None:
    try:
        if not stat.S_ISSOCK(path.lstat().st_mode):
            raise FileExistsError(f"{path}: exists and is not a socket")
    except FileNotFoundError:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(os.fspath(path))
        except ConnectionRefusedError:
            path.unlink(missing_ok=True)
            return
        except FileNotFoundError:
            return
    raise FileExistsError(f"{path}: somebody else listens there")
