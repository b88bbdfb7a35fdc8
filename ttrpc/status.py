# SPDX-License-Identifier: Apache-2.0
"""The status of an exception: the one that a caller sees, the one that is counted."""

from __future__ import annotations

from ttrpc.codes import Code
from ttrpc.errors import Closed, ProtocolError, StatusError


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


def code_of(error: BaseException) -> Code | int:
    """Return the code under which a client counts a call that has raised `error`."""
    if isinstance(error, StatusError | Closed):
        return error.code
    if isinstance(error, ProtocolError):
        return Code.INTERNAL
    # Others, as asyncio's CancelledError and KeyboardInterrupt, give the call up.
    return Code.UNKNOWN if isinstance(error, Exception) else Code.CANCELLED
