# SPDX-License-Identifier: Apache-2.0
"""Keep programs from being executed for a moment (man 7 fanotify)."""

from __future__ import annotations

import ctypes
import os
from typing import Final

from kata_agent.linux import libc

# include/uapi/linux/fanotify.h
FAN_CLOEXEC: Final = 0x01
FAN_NONBLOCK: Final = 0x02
FAN_CLASS_CONTENT: Final = 0x04
FAN_MARK_ADD: Final = 0x01
FAN_MARK_MOUNT: Final = 0x10
FAN_OPEN_EXEC_PERM: Final = 0x00040000
_AT_FDCWD: Final = -100


class ExecHold:
    """Holds every execve of a file on one mount until `release`.

    The kernel asks this group whether a file may be opened for execution, and the
    caller waits. No event is ever answered: at the end of the group the kernel permits
    all, also if the agent dies.
    """

    def __init__(self, path: str) -> None:
        """Begin to hold files on the mount of `path`.

        That must be a mount of another mount namespace, because a hold of the caller's
        own mount stops `posix_spawn`, which waits for its execve. Raises `OSError`
        without CAP_SYS_ADMIN, and if the kernel lacks
        CONFIG_FANOTIFY_ACCESS_PERMISSIONS.
        """
        self._fd = libc.call(
            "fanotify_init",
            FAN_CLASS_CONTENT | FAN_CLOEXEC | FAN_NONBLOCK,
            os.O_RDONLY | os.O_CLOEXEC,
        )
        try:
            libc.call(
                "fanotify_mark",
                self._fd,
                FAN_MARK_ADD | FAN_MARK_MOUNT,
                ctypes.c_uint64(FAN_OPEN_EXEC_PERM),
                _AT_FDCWD,
                os.fsencode(path),
                path=path,
            )
        except BaseException:
            self.release()
            raise

    def release(self) -> None:
        """Let every held execve go on; may be called again."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
