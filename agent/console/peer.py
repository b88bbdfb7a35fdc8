# SPDX-License-Identifier: Apache-2.0
"""Whether the other end of a connection is still there."""

from __future__ import annotations

import os
import select
import socket


def peer_has_gone(connection: int) -> bool:
    """Return whether the other end is closed, and not only done with sending."""
    poll = select.poll()
    poll.register(connection, 0)
    if poll.poll(0):
        # POLLHUP or POLLERR, which poll reports unasked.
        return True
    duplicate = socket.socket(fileno=os.dup(connection))
    try:
        # poll reports nothing of vsock, but sending zero bytes fails.
        duplicate.send(b"")
    except BlockingIOError:
        return False
    except OSError:
        return True
    finally:
        duplicate.close()
    return False
