# SPDX-License-Identifier: Apache-2.0
"""From an exception to the status that the caller gets, only here."""

from __future__ import annotations

import errno
from typing import Final

from kata_agent.errors import AgentError
from ttrpc.codes import Code
from ttrpc.errors import StatusError

_ERRNO_CODES: Final = {
    errno.ENOENT: Code.NOT_FOUND,
    errno.ESRCH: Code.NOT_FOUND,
    errno.EINVAL: Code.INVALID_ARGUMENT,
}
"""Errors of the kernel that the request causes; the guest causes all others."""


def to_status(error: BaseException) -> StatusError:
    """Return the status for an exception that a handler raised."""
    if isinstance(error, StatusError):
        return error
    if isinstance(error, AgentError):
        return StatusError(error.code, str(error))
    if isinstance(error, OSError):
        code = _ERRNO_CODES.get(error.errno or 0, Code.INTERNAL)
        return StatusError(code, _reason(error))
    return StatusError(Code.INTERNAL, f"unexpected {type(error).__name__}: {error}")


def _reason(error: OSError) -> str:
    """Return the message: the file first, as in all messages, and no number."""
    reason = error.strerror or str(error)
    return reason if error.filename is None else f"{error.filename!r}: {reason}"
