# SPDX-License-Identifier: Apache-2.0
"""The signals that end a server."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import threading
from collections.abc import Callable, Iterable, Iterator


@contextlib.contextmanager
def stop_signals(
    numbers: Iterable[signal.Signals], stop: Callable[[], object]
) -> Iterator[None]:
    """Have the running loop call `stop` on each of these signals, within the block.

    The handlers before are put back in the end; those of `loop.add_signal_handler`
    cannot be.

    Raises:
        RuntimeError: this is not the main thread, or a signal cannot be caught.
    """
    if threading.current_thread() is not threading.main_thread():
        # Loops differ in the error that they raise for this.
        raise RuntimeError("signals: this is not the main thread")
    loop = asyncio.get_running_loop()
    before = {}
    try:
        for number in numbers:
            handler = signal.getsignal(number)
            loop.add_signal_handler(number, stop)
            before[number] = handler
        yield
    finally:
        for number, handler in before.items():
            loop.remove_signal_handler(number)
            # None stands for a handler of C code, which Python cannot put back.
            if handler is not None:
                signal.signal(number, handler)
