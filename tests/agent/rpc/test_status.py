# SPDX-License-Identifier: Apache-2.0
"""The status that a caller gets for an exception."""

from __future__ import annotations

import errno
import os

import pytest

from kata_agent import errors
from kata_agent.excerpt import ERROR_LIMIT
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
        (errors.ResourceExhausted("x"), Code.RESOURCE_EXHAUSTED),
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
        (errno.ENAMETOOLONG, Code.INVALID_ARGUMENT),
        (errno.EPERM, Code.INTERNAL),
        (errno.EIO, Code.INTERNAL),
    ],
)
def test_an_error_of_the_kernel_names_the_file(number: int, code: Code) -> None:
    status = to_status(OSError(number, os.strerror(number), "/the/file"))
    assert status.code == code
    assert status.message == f"'/the/file': {os.strerror(number)}"


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (
            OSError(errno.EMFILE, os.strerror(errno.EMFILE), "/the/file"),
            "'/the/file': the agent has no free file descriptor",
        ),
        (
            OSError(
                errno.EAGAIN, "cannot execute 'crun': " + os.strerror(errno.EAGAIN)
            ),
            "cannot execute 'crun': the guest has no free process or thread",
        ),
        (
            OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/the/file"),
            "'/the/file': no space is left",
        ),
        (OSError(errno.EDQUOT, "writing"), "writing: the quota is used up"),
        (
            OSError(errno.ENFILE, os.strerror(errno.ENFILE)),
            "the guest has no free file descriptor",
        ),
        (
            OSError(errno.ENOMEM, os.strerror(errno.ENOMEM)),
            "the guest has no free memory",
        ),
        (MemoryError(), "the guest has no free memory"),
    ],
)
def test_what_the_guest_has_run_out_of_is_named(error: Exception, message: str) -> None:
    status = to_status(error)
    assert (status.code, status.message) == (Code.RESOURCE_EXHAUSTED, message)


@pytest.mark.parametrize("error", [errors.NotFound, KeyError, OSError])
def test_a_long_value_does_not_come_back_whole(error: type[Exception]) -> None:
    status = to_status(error(f"container {'x' * (1 << 20)!r}: not found"))
    assert len(status.message) <= ERROR_LIMIT
    assert "container 'xxx" in status.message
    assert "xxx': not found" in status.message


def test_a_message_is_one_line() -> None:
    status = to_status(errors.InvalidArgument("file '/a\nb\x1b[0m\u2028': x"))
    assert status.message == r"file '/a\nb\x1b[0m\u2028': x"


def test_a_defect_is_an_internal_error() -> None:
    status = to_status(KeyError("missing"))
    assert status.code == Code.INTERNAL
    assert status.message == "unexpected KeyError: 'missing'"
