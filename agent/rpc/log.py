# SPDX-License-Identifier: Apache-2.0
"""One debug line for each call: method, ids, status and duration.

A failure that is a defect of the agent also gets its traceback, only here.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any

from kata_agent.rpc.status import is_defect
from ttrpc.call_context import CallContext
from ttrpc.codes import Code
from ttrpc.errors import StatusError
from ttrpc.interceptor import Interceptor, Proceed

log = logging.getLogger(__name__)


def log_interceptor(status_of: Callable[[BaseException], StatusError]) -> Interceptor:
    """Return the interceptor that logs calls; `status_of` gives the codes of failures.

    Of the request, the line holds only ids, because other fields may hold secrets.
    """

    async def logged(request: Any, context: CallContext, proceed: Proceed) -> Any:
        began = time.monotonic()
        code: Code | int = Code.CANCELLED
        try:
            response = await proceed(request, context)
            code = Code.OK
            return response
        except Exception as error:
            code = status_of(error).code
            if is_defect(error):
                log.error(
                    "call failed",
                    extra={"method": context.method.name},
                    exc_info=error,
                )
            raise
        finally:
            if log.isEnabledFor(logging.DEBUG):
                log.debug(
                    "call",
                    extra={
                        "method": context.method.name,
                        "container_id": getattr(request, "container_id", ""),
                        "exec_id": getattr(request, "exec_id", ""),
                        "code": code.name if isinstance(code, Code) else code,
                        "duration_ms": round((time.monotonic() - began) * 1000, 3),
                    },
                )

    return logged
