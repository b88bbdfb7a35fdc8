# SPDX-License-Identifier: Apache-2.0
"""One line for each call: method, ids, status and duration.

The line is for debugging, unless the call failed with an `Internal` of the domain, such
as an OCI runtime that found no such command, or the guest has run out of a resource.
That line is an error or a warning, and says why. Any other exception that becomes an
internal error is a defect or the kernel's, and `ttrpc.aio` logs its traceback.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any

from kata_agent.errors import Ended, Internal
from kata_agent.rpc.subject import with_subject
from ttrpc.call_context import CallContext
from ttrpc.codes import Code
from ttrpc.errors import StatusError
from ttrpc.interceptor import Interceptor, Proceed, eager

log = logging.getLogger(__name__)


def log_interceptor(status_of: Callable[[BaseException], StatusError]) -> Interceptor:
    """Return the interceptor that logs calls; `status_of` gives the codes of failures.

    Of the request, the line holds only ids, because other fields may hold secrets.
    """

    @eager
    async def logged(request: Any, context: CallContext, proceed: Proceed) -> Any:
        began = time.monotonic()
        code: Code | int = Code.CANCELLED
        level, reason = logging.DEBUG, {}
        try:
            response = await proceed(request, context)
            code = Code.OK
            return response
        except Internal as failure:
            status = status_of(failure)
            code = status.code
            if not isinstance(failure, Ended):
                level, reason = logging.ERROR, {"error": status.message}
            # A status has no traceback in the log.
            raise status from failure
        except Exception as raised:
            error = with_subject(raised, request)
            status = status_of(error)
            code = status.code
            if code == Code.RESOURCE_EXHAUSTED:
                level, reason = logging.WARNING, {"error": status.message}
            if error is raised:
                raise
            raise error from raised
        finally:
            if log.isEnabledFor(level):
                log.log(
                    level,
                    "call" if level == logging.DEBUG else "call failed",
                    extra={
                        "method": context.method.name,
                        "container_id": getattr(request, "container_id", ""),
                        "exec_id": getattr(request, "exec_id", ""),
                        "code": code.name if isinstance(code, Code) else code,
                        "duration_ms": round((time.monotonic() - began) * 1000, 3),
                        **reason,
                    },
                )

    return logged
