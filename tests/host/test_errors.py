# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import signal

import pytest

from kata_host.errors import (
    AgentError,
    CannotExecute,
    CommandFailed,
    FileError,
    GuestEnded,
    NotFound,
    OutOfMemory,
    SandboxError,
    TimedOut,
    describe_status,
)
from kata_host.guest.guest import GuestError
from kata_host.guest.registry import GuestNotFound


@pytest.mark.parametrize(
    "kind",
    [
        *(AgentError, CannotExecute, CommandFailed, FileError, GuestEnded, GuestError),
        *(NotFound, OutOfMemory, TimedOut),
    ],
)
def test_every_error_is_one_of_the_tree(kind: type[Exception]) -> None:
    assert issubclass(kind, SandboxError)


def test_a_guest_that_is_not_there_is_not_found() -> None:
    assert issubclass(GuestNotFound, (NotFound, GuestError))


@pytest.mark.parametrize(
    ("status", "text"),
    [
        (1, "exit status 1"),
        (128, "exit status 128"),
        (128 + signal.SIGKILL, "ended by SIGKILL"),
        (128 + signal.SIGTERM, "ended by SIGTERM"),
        (255, "exit status 255"),
    ],
)
def test_a_status_is_told_in_words(status: int, text: str) -> None:
    assert describe_status(status) == text
