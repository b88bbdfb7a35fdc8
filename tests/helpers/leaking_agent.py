# SPDX-License-Identifier: Apache-2.0
"""An agent that keeps a kibibyte of each call for ever.

Run as a program in place of `python -m kata_agent`.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from ttrpc.call_context import CallContext
    from ttrpc.errors import StatusError
    from ttrpc.interceptor import Interceptor, Proceed

LEAK: Final = 1 << 10
"""Bytes."""


def _plant() -> None:
    """Let the first interceptor of this process keep some memory of each call."""
    from kata_agent.rpc import log

    real, kept = log.log_interceptor, []

    def leaking(status_of: Callable[[BaseException], StatusError]) -> Interceptor:
        intercept = real(status_of)

        async def leak(request: Any, context: CallContext, proceed: Proceed) -> Any:
            kept.append(bytes(LEAK))
            return await intercept(request, context, proceed)

        return leak

    log.log_interceptor = leaking


def main() -> None:
    # Not the directory of this file, whose modules would hide others.
    sys.path[0] = os.fspath(Path(__file__).parents[2] / "src")
    _plant()
    from kata_agent.__main__ import main as run

    run()


if __name__ == "__main__":
    main()
