# SPDX-License-Identifier: Apache-2.0
"""The errors that say that the guest has run out of something."""

from __future__ import annotations

import errno

import pytest

from kata_agent.exhaustion import exhausted_resource


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
def test_an_exhausted_resource_is_named(error: Exception) -> None:
    assert exhausted_resource(error)


@pytest.mark.parametrize("error", [OSError(), OSError(errno.EIO, "x"), ValueError()])
def test_any_other_error_is_none(error: Exception) -> None:
    assert exhausted_resource(error) is None
