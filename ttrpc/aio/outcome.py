# SPDX-License-Identifier: Apache-2.0
"""Turns the exception that ended a handler into the status that its caller sees."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from ttrpc.call_context import CallContext
from ttrpc.codes import Code
from ttrpc.errors import StatusError

log = logging.getLogger(__name__)


def outcome_of(
    error: BaseException,
    context: CallContext,
    status_of: Callable[[BaseException], StatusError],
) -> StatusError:
    """Return the status of a call; log an error that is the handler's fault.

    `status_of` is the server's mapping. The status is never OK, and a mapping that
    fails leaves UNKNOWN with the name of the error.
    """
    if isinstance(error, asyncio.CancelledError):
        return StatusError(Code.CANCELLED, "context canceled")
    try:
        status = status_of(error)
    except Exception:
        log.exception("status_of failed")
        status = StatusError(Code.UNKNOWN, type(error).__name__)
    if status.code == Code.OK:
        # The client would read it as success with an empty response.
        status = StatusError(Code.UNKNOWN, status.message, status.details)
    if status.code in (Code.UNKNOWN, Code.INTERNAL) and not isinstance(
        error, StatusError
    ):
        log.error(
            "handler failed",
            exc_info=error,
            extra={"method": context.method.full_method},
        )
    return status
