# SPDX-License-Identifier: Apache-2.0
"""The errors that say that the guest has run out of something."""

from __future__ import annotations

import errno

import pytest

from kata_agent.errors import Internal
from kata_agent.exhaustion import find_exhaustion, told_exhaustion


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        *(
            OSError(number, "x")
            for number in (
                errno.EMFILE,
                errno.ENFILE,
                errno.EAGAIN,
                errno.ENOMEM,
                errno.ENOBUFS,
                errno.ENOSPC,
                errno.EDQUOT,
            )
        ),
    ],
)
def test_an_find_exhaustion_is_named(error: Exception) -> None:
    assert find_exhaustion(error)


def test_an_error_that_was_caused_by_it_tells_too() -> None:
    error = Internal("file '/x': not read")
    error.__cause__ = OSError(errno.EMFILE, "x")
    assert find_exhaustion(error) == (
        "the agent has no free file descriptor",
        "Too many open files",
    )


@pytest.mark.parametrize("error", [OSError(), OSError(errno.EIO, "x"), ValueError()])
def test_any_other_error_is_none(error: Exception) -> None:
    assert find_exhaustion(error) is None


@pytest.mark.parametrize(
    ("reason", "number"),
    [
        ("open `/dev/null`: Too many open files", errno.EMFILE),
        ("fork/exec /proc/self/exe: resource temporarily unavailable", errno.EAGAIN),
        ("mkdir: No space left on device", errno.ENOSPC),
        ("write `cpuset.cpus`: No space left on device", None),
        ("Too many open files: hooks wrote: x", None),
        ("", None),
    ],
)
def test_what_a_runtime_says_last_tells_too(reason: str, number: int | None) -> None:
    error = told_exhaustion(reason)
    assert (error.errno if error else None) == number
