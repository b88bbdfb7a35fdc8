# SPDX-License-Identifier: Apache-2.0
"""The status that a caller gets for an exception."""

from __future__ import annotations

import errno
import os

import pytest

from kata_agent import errors
from kata_agent.rpc.status import to_status
from ttrpc.codes import Code
from ttrpc.errors import StatusError


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.InvalidArgument("x"), Code.INVALID_ARGUMENT),
        (errors.NotFound("x"), Code.NOT_FOUND),
        (errors.AlreadyExists("x"), Code.ALREADY_EXISTS),
        (errors.InvalidState("x"), Code.FAILED_PRECONDITION),
        (errors.Unavailable("x"), Code.UNAVAILABLE),
        (errors.Timeout("x"), Code.DEADLINE_EXCEEDED),
        (errors.Unimplemented("x"), Code.UNIMPLEMENTED),
        (errors.Internal("x"), Code.INTERNAL),
        (errors.AgentError("x"), Code.INTERNAL),
    ],
)
def test_an_error_of_the_domain_has_its_code(error: Exception, code: Code) -> None:
    status = to_status(error)
    assert (status.code, status.message) == (code, "x")


def test_a_status_is_not_changed() -> None:
    status = StatusError(Code.ABORTED, "x")
    assert to_status(status) is status


@pytest.mark.parametrize(
    ("number", "code"),
    [
        (errno.ENOENT, Code.NOT_FOUND),
        (errno.EINVAL, Code.INVALID_ARGUMENT),
        (errno.EPERM, Code.INTERNAL),
        (errno.ENOSPC, Code.INTERNAL),
    ],
)
def test_an_error_of_the_kernel_names_the_file(number: int, code: Code) -> None:
    status = to_status(OSError(number, os.strerror(number), "/the/file"))
    assert status.code == code
    assert status.message == f"'/the/file': {os.strerror(number)}"


def test_a_defect_is_an_internal_error() -> None:
    status = to_status(KeyError("missing"))
    assert status.code == Code.INTERNAL
    assert status.message == "unexpected KeyError: 'missing'"
