# SPDX-License-Identifier: Apache-2.0
"""An epoll loop of callbacks."""

from __future__ import annotations

import select
from collections.abc import Callable
from typing import Final, TypeAlias

EDGES: Final = select.EPOLLIN | select.EPOLLOUT | select.EPOLLRDHUP | select.EPOLLET
"""Events of a socket, each reported once when it happens (man 7 epoll)."""

Handler: TypeAlias = Callable[[int], None]
"""Takes the events of a descriptor, a mask of `select.EPOLL*`."""


class Poller:
    """Calls the handler of each descriptor that is ready."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._handlers: dict[int, Handler] = {}

    def watch(self, fd: int, events: int, handler: Handler) -> None:
        """Call `handler` whenever one of `events` happens on `fd`."""
        self._epoll.register(fd, events)
        self._handlers[fd] = handler

    def unwatch(self, fd: int) -> None:
        """Stop watching `fd`. Call this before `fd` is closed."""
        del self._handlers[fd]
        self._epoll.unregister(fd)

    def turn(self, timeout: float | None = None) -> None:
        """Wait for up to `timeout` seconds (None: without limit) and call handlers."""
        # A handler may close a descriptor whose number another one then gets, so an
        # event is for the handler that watched the descriptor when it happened.
        ready = [
            (fd, events, self._handlers[fd]) for fd, events in self._epoll.poll(timeout)
        ]
        for fd, events, handler in ready:
            if self._handlers.get(fd) is handler:
                handler(events)
