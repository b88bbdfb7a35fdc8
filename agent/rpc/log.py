# SPDX-License-Identifier: Apache-2.0
"""One debug line for each call: method, ids, status and duration.

`ttrpc.aio` logs the traceback of a failure that is an internal error.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any

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
