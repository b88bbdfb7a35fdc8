# SPDX-License-Identifier: Apache-2.0
"""Backtraces of every task and thread, for an agent that seems to hang.

kill -USR1 1        in a guest whose options have agent.log=debug or agent.devmode
"""

from __future__ import annotations

import asyncio
import logging
import sys
import threading
import traceback
from types import FrameType

log = logging.getLogger(__name__)


def log_backtraces() -> None:
    """Log one line for each task of the running loop, and one for each thread."""
    for task in asyncio.all_tasks():
        frames = task.get_stack()
        log.error(
            "backtrace of a task",
            extra={
                "task_name": task.get_name(),
                "frames": [_position(f) for f in frames],
            },
        )
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    for ident, frame in sys._current_frames().items():
        log.error(
            "backtrace of a thread",
            extra={
                "thread_name": names.get(ident, str(ident)),
                "frames": [
                    f"{entry.filename}:{entry.lineno} {entry.name}"
                    for entry in traceback.extract_stack(frame)
                ],
            },
        )


def _position(frame: FrameType) -> str:
    return f"{frame.f_code.co_filename}:{frame.f_lineno} {frame.f_code.co_name}"


def answer_signal(number: int, *, debug: bool) -> None:
    """Log backtraces if `debug`, otherwise only the signal; never end the agent."""
    if debug:
        log_backtraces()
    else:
        log.info("signal ignored", extra={"signal": number})
