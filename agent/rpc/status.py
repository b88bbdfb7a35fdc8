# SPDX-License-Identifier: Apache-2.0
"""From an exception to the status that the caller gets, only here."""

from __future__ import annotations

import errno
from typing import Final

from kata_agent.errors import AgentError
from kata_agent.excerpt import excerpt
from kata_agent.exhaustion import find_exhaustion
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
    code, text = _code_and_text(error)
    exhaustion = find_exhaustion(error)
    if exhaustion is not None and code is not Code.RESOURCE_EXHAUSTED:
        code = Code.RESOURCE_EXHAUSTED
        if exhaustion.kernel_words in text:
            text = text.replace(exhaustion.kernel_words, exhaustion.resource)
        else:
            text = f"{text}: {exhaustion.resource}" if text else exhaustion.resource
    return code, text


def _code_and_text(error: BaseException) -> tuple[Code, str]:
    if isinstance(error, AgentError):
        return error.code, str(error)
    if isinstance(error, OSError):
        return _ERRNO_CODES.get(error.errno or 0, Code.INTERNAL), _reason(error)
    if isinstance(error, MemoryError):
        return Code.INTERNAL, str(error)
    return Code.INTERNAL, f"unexpected {type(error).__name__}: {error}"


def _reason(error: OSError) -> str:
    """Return the message: the file first, as in all messages, and no number."""
    reason = error.strerror or str(error)
    return reason if error.filename is None else f"{error.filename!r}: {reason}"
