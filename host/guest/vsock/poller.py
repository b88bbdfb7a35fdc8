# SPDX-License-Identifier: Apache-2.0
"""An epoll loop of callbacks, the one place that waits."""

from __future__ import annotations

import select
from collections.abc import Callable

Handler = Callable[[int], None]


class Poller:
    """Calls the handler of each descriptor that is ready."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._handlers: dict[int, Handler] = {}

    def watch(self, fd: int, events: int, handler: Handler) -> None:
        """Call `handler` with the event mask of epoll from now on."""
        self._epoll.register(fd, events)
        self._handlers[fd] = handler

    def unwatch(self, fd: int) -> None:
        """Stop; call this before `fd` is closed."""
        del self._handlers[fd]
        self._epoll.unregister(fd)

    def turn(self, timeout: float | None = None) -> None:
        """Wait for up to `timeout` seconds (None: for ever) and call handlers."""
        # A handler may close a descriptor and another may get its number: what was
        # reported for the old one is not for the new.
        ready = [
            (fd, events, self._handlers[fd]) for fd, events in self._epoll.poll(timeout)
        ]
        for fd, events, handler in ready:
            if self._handlers.get(fd) is handler:
                handler(events)
