# SPDX-License-Identifier: Apache-2.0
"""`python -m kata_host.guest.vsock VHOST-SOCKET HYBRID-SOCKET CID`: serve one guest.

Prints `ready` when both sockets take connections, and ends when QEMU ends.
"""

from __future__ import annotations

import argparse
import errno
import logging
import os
import resource
import socket
import sys
from pathlib import Path
from typing import Final

from kata_host.explain import explain
from kata_host.guest.hybrid_command import BACKLOG, SOCKET_MODE
from kata_host.guest.vsock.backend import Backend
from kata_host.guest.vsock.memory import MemoryFault
from kata_host.guest.vsock.vhost_user_message import ProtocolError
from kata_host.guest.vsock.virtqueue import VirtqueueError

FIRST_GUEST_CID: Final = 3
"""0 to 2 are reserved (man 7 vsock)."""


def _listen(path: Path, backlog: int) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX)
    try:
        # The file gets this mode, less the umask (Linux, net/unix/af_unix.c).
        os.fchmod(listener.fileno(), SOCKET_MODE)
        listener.bind(str(path))
        listener.listen(backlog)
    except OSError as error:
        listener.close()
        reason = error.strerror or str(error)
        raise OSError(error.errno or errno.EINVAL, reason, str(path)) from error
    return listener


def guest_cid(text: str) -> int:
    """Read the context id of a guest. Raises `ValueError`."""
    value = int(text)
    if not FIRST_GUEST_CID <= value < socket.VMADDR_CID_ANY:
        raise ValueError(f"CID {text!r}: not one of a guest")
    return value


def main() -> int:
    """Serve one guest; return 1 if the guest or QEMU has broken the protocol."""
    parser = argparse.ArgumentParser(
        prog="python -m kata_host.guest.vsock", description=__doc__
    )
    parser.add_argument(
        "vhost", type=Path, help="path of the socket that QEMU connects to"
    )
    parser.add_argument(
        "socket", type=Path, help="path of the socket that clients connect to"
    )
    parser.add_argument(
        "cid",
        type=guest_cid,
        nargs="?",
        default=FIRST_GUEST_CID,
        help="the guest's context id (default: %(default)s)",
    )
    arguments = parser.parse_args()
    logging.basicConfig(
        level=logging.WARNING, format="kata_host.guest.vsock: %(message)s"
    )
    _, limit = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))

    try:
        _serve(arguments.vhost, arguments.socket, arguments.cid)
    except (OSError, VirtqueueError, MemoryFault, ProtocolError) as error:
        print(f"kata_host.guest.vsock: {explain(error)}", file=sys.stderr)
        return 1
    return 0


def _serve(vhost_path: Path, path: Path, cid: int) -> None:
    with _listen(path, BACKLOG) as listener:
        with _listen(vhost_path, 1) as waiting:
            print("ready", flush=True)
            vhost, _ = waiting.accept()
        with vhost:
            Backend(vhost, listener, path, cid).run()


if __name__ == "__main__":
    sys.exit(main())
