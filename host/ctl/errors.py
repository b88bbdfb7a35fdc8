# SPDX-License-Identifier: Apache-2.0
"""How a command of kata-agent-ctl fails, and the exit status that says so."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Final

FAILED: Final = 1
USAGE: Final = 2
RUN_FAILED: Final = 125
"""The status of `run` and `exec` for a failure and for wrong usage, as docker has it:
the other statuses are those of the program in the container."""


class CommandError(Exception):
    """The command failed; the message is the one line that the user sees."""

    status: int = FAILED


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
        raise CommandError(str(error)) from error
