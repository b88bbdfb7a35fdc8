# SPDX-License-Identifier: Apache-2.0
"""Control-C while a program of ours still imports what it needs.

Python's own handler would end it with a traceback, or with none and status 0 where the
interpreter drops the exception. This module imports nothing that takes time: the
interpreter has loaded both modules before.
"""

from __future__ import annotations

# `signal` makes enums of its constants, which takes longer than all of this module.
import _signal  # type: ignore[import-not-found]  # typeshed has `signal` alone
import os


def end_when_interrupted() -> None:
    """Have SIGINT end this process, until another handler is set.

    Without a word, and with status 128+2; there is nothing to release yet. A SIGINT
    that the starter ignores stays ignored.
    """
    if _signal.getsignal(_signal.SIGINT) is _signal.default_int_handler:
        _signal.signal(_signal.SIGINT, _end)


def _end(number: int, frame: object) -> None:
    os._exit(128 + number)
