# SPDX-License-Identifier: Apache-2.0
"""From an exception to the status that the caller gets, only here."""

from __future__ import annotations

import errno
import os
from typing import Final

from kata_agent.errors import AgentError
from kata_agent.excerpt import excerpt
from kata_agent.exhaustion import exhausted_resource
from ttrpc.codes import Code
from ttrpc.errors import StatusError

_ERRNO_CODES: Final = {
    errno.ENOENT: Code.NOT_FOUND,
    errno.ESRCH: Code.NOT_FOUND,
    errno.EINVAL: Code.INVALID_ARGUMENT,
    errno.ENAMETOOLONG: Code.INVALID_ARGUMENT,
    errno.ENOTDIR: Code.INVALID_ARGUMENT,
    errno.ELOOP: Code.INVALID_ARGUMENT,
    errno.EFBIG: Code.INVALID_ARGUMENT,
    errno.E2BIG: Code.INVALID_ARGUMENT,
}
"""Errors of the kernel that the request causes; the guest causes all others."""


def to_status(error: BaseException) -> StatusError:
    """Return the status for an exception that a handler raised.

    Its text is one line of at most `ERROR_LIMIT` characters (`kata_agent.excerpt`).
    """
    if isinstance(error, StatusError):
        return error
    code, text = _describe(error)
    return StatusError(code, excerpt(text))


def _describe(error: BaseException) -> tuple[Code, str]:
    if isinstance(error, AgentError):
        return error.code, str(error)
    if resource := exhausted_resource(error):
        return Code.RESOURCE_EXHAUSTED, _name_resource(error, resource)
    if isinstance(error, OSError):
        return _ERRNO_CODES.get(error.errno or 0, Code.INTERNAL), _reason(error)
    return Code.INTERNAL, f"unexpected {type(error).__name__}: {error}"


def _reason(error: OSError) -> str:
    """Return the message: the file first, as in all messages, and no number."""
    reason = error.strerror or str(error)
    return reason if error.filename is None else f"{error.filename!r}: {reason}"


def _name_resource(error: BaseException, resource: str) -> str:
    """Return the message with `resource` in place of the kernel's words for it."""
    if not isinstance(error, OSError) or error.errno is None:
        return resource
    reason, words = _reason(error), os.strerror(error.errno)
    return (
        reason.replace(words, resource) if words in reason else f"{reason}: {resource}"
    )
