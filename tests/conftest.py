# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import signal
from collections.abc import Iterator
from typing import Final

import pytest

# Started in the background of a shell without job control, a process ignores SIGINT
# and its children inherit that (POSIX shell, 2.11); tests interrupt children.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGQUIT, signal.SIG_DFL)

HANDLED: Final = (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP, signal.SIGTERM)


@pytest.fixture(autouse=True)
def handlers_of_signals() -> Iterator[None]:
    """Put back what a test has changed: the children of later tests inherit it."""
    before = {number: signal.getsignal(number) for number in HANDLED}
    yield
    for number, handler in before.items():
        if signal.getsignal(number) is not handler:
            signal.signal(number, handler)
