# SPDX-License-Identifier: Apache-2.0
"""How a command of kata-agent-ctl fails, and the exit status that says so."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Final

from kata_host.client.start_failure import StartFailure, start_failure
from kata_host.explain import explain

FAILED: Final = 1
USAGE: Final = 2
RUN_FAILED: Final = 125
"""The status of `run` and `exec` for a failure and for wrong usage, as docker has it:
the other statuses are those of the program in the container."""
NOT_EXECUTABLE: Final = 126
NOT_FOUND: Final = 127
"""Those for a program that cannot be executed, or is not in the container."""


class CommandError(Exception):
    """The command failed; the message is the one line that the user sees."""

    status: int = FAILED
    run_status: int = RUN_FAILED
    """The status of a command that otherwise has that of a program."""


class ProgramError(CommandError):
    """The agent answered a request to run a program with an error."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        match start_failure(message):
            case StartFailure.NOT_FOUND:
                self.run_status = NOT_FOUND
            case StartFailure.NOT_EXECUTABLE:
                self.run_status = NOT_EXECUTABLE


class UsageError(CommandError):
    """The command line is wrong, independent of the state of any guest."""

    status = USAGE


@contextlib.contextmanager
def guest_errors_as_command_errors() -> Iterator[None]:
    """Raise a `GuestError` or an `OSError` of the block as a `CommandError`."""
    from kata_host.guest.guest import GuestError

    try:
        yield
    except (GuestError, OSError) as error:
        raise CommandError(explain(error)) from error
