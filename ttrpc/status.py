# SPDX-License-Identifier: Apache-2.0
"""Maps a handler's exception to the status that the caller sees."""

from __future__ import annotations

from ttrpc.codes import Code
from ttrpc.errors import Closed, StatusError


def to_status(error: BaseException) -> StatusError:
    """Return the status of an exception; a server may have a mapping of its own."""
    if isinstance(error, StatusError):
        return error
    if isinstance(error, Closed):
        # Of a call that the handler has made itself.
        return StatusError(error.code, str(error))
    if isinstance(error, TimeoutError):
        return StatusError(Code.DEADLINE_EXCEEDED, str(error))
    if isinstance(error, NotImplementedError):
        return StatusError(Code.UNIMPLEMENTED, str(error))
    return StatusError(Code.UNKNOWN, str(error) or type(error).__name__)
