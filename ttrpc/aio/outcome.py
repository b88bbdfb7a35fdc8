# SPDX-License-Identifier: Apache-2.0
"""Turns the exception that ended a handler into the status that its caller sees."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from ttrpc.call_context import CallContext
from ttrpc.codes import Code
from ttrpc.errors import EXITS, StatusError

log = logging.getLogger(__name__)


def outcome_of(
    error: BaseException,
    context: CallContext,
    status_of: Callable[[BaseException], StatusError],
    end_program: Callable[[BaseException], object],
) -> StatusError:
    """Return the status of a call; log an error that is the handler's fault.

    `status_of` is the server's mapping. Whatever it returns or raises, the status is
    one that can be sent, and never OK: a mapping that fails leaves UNKNOWN with the
    name of the error. `end_program` is called with an error of the mapping that is to
    end the program after the call has been answered, unless `error` does so.
    """
    if isinstance(error, asyncio.CancelledError):
        return StatusError(Code.CANCELLED, "context canceled")
    try:
        status = _checked(status_of(error))
    except BaseException as exc:
        log.exception("status_of failed")
        if isinstance(exc, EXITS) and not isinstance(error, EXITS):
            end_program(exc)
        status = StatusError(Code.UNKNOWN, type(error).__name__)
    if status.code in (Code.UNKNOWN, Code.INTERNAL) and not isinstance(
        error, StatusError
    ):
        log.error(
            "handler failed",
            exc_info=error,
            extra={"method": context.method.full_method},
        )
    return status


def _checked(status: object) -> StatusError:
    """Return a status that can be sent.

    It is made anew, because a subclass or a handler may have given a StatusError any
    attributes, or none.
    """
    if not isinstance(status, StatusError):
        raise TypeError(f"status_of returned {type(status).__name__}")
    # The client would read OK as success with an empty response.
    code = Code.UNKNOWN if status.code == Code.OK else status.code
    return StatusError(code, status.message, status.details)
