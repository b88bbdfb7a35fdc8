# SPDX-License-Identifier: Apache-2.0
"""The errors of guests, and of the commands and files in them.

    SandboxError
    |-- GuestError           a guest cannot be started (`kata_host.guest.guest`)
    |-- GuestEnded           a guest has ended by itself, or its connection is lost
    |-- AgentError           the agent has refused a call; `code` says how
    |-- NotFound             no such command, file, container or guest
    |-- CannotExecute        there is such a command, and it cannot be executed
    |-- ImageError           an image is not what it should be (`kata_host.image`)
    |-- FileError            a file cannot be read, written or removed
    '-- CommandFailed        a command has not ended well; it has the output so far
        |-- TimedOut         not within its time
        '-- OutOfMemory      because the kernel has killed a process of it at its limit

The calls of the agent itself (`Guest.client`) raise `ttrpc.errors.StatusError` and
`ttrpc.errors.Closed`. Whatever of them leaves the SDK has become one of these, with the
other as its `__cause__`. A wrong argument is a `ValueError`.
"""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ttrpc.codes import Code


class SandboxError(Exception):
    """Any error of this tree. The message names the object first, then the fault."""


class GuestEnded(SandboxError):
    """The guest has ended by itself, or the connection to its agent is lost."""


class AgentError(SandboxError):
    """The agent has refused a call."""

    def __init__(self, message: str, code: Code | int) -> None:
        super().__init__(message)
        self.code = code


class NotFound(SandboxError):
    """The command, the file, the container or the guest is not there."""


class CannotExecute(SandboxError):
    """The command's file cannot be executed."""


class FileError(SandboxError):
    """A file cannot be read, written or removed."""


class CommandFailed(SandboxError):
    """A command has not ended with the status 0.

    Only `Result.check` raises it, but for `TimedOut`.
    """

    def __init__(
        self,
        message: str,
        stdout: bytes = b"",
        stderr: bytes = b"",
        *,
        status: int | None = None,
    ) -> None:
        super().__init__(message)
        self.stdout = stdout
        """The output so far, within the limit of the call."""
        self.stderr = stderr
        self.status = status
        """The exit status, or 128+n if signal n ended the command; None if the command
        has not ended."""


class TimedOut(CommandFailed):
    """A command has not ended within its time, and was killed."""


class OutOfMemory(CommandFailed):
    """The kernel has killed a process of the command, because no memory was left."""


def describe_status(status: int) -> str:
    """Return `exit status 3`, or `ended by SIGKILL` for 128 and the signal's number."""
    try:
        return f"ended by {signal.Signals(status - 128).name}"
    except ValueError:
        return f"exit status {status}"
