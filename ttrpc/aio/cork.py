# SPDX-License-Identifier: Apache-2.0
"""Decides when the outbox is written, so that many frames leave in one write.

While received frames are dealt with, the cork is in: nothing is written, and tasks
that these frames continue have to wait. At the end of a batch the tasks go on first,
and the answers of all leave in one write.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from ttrpc.outbox import Outbox

FLUSH_SIZE: Final = 64 << 10
"""Bytes in the outbox from which it is written at once, so that the peer can begin
with the first answers while the last ones are being made."""


class Cork:
    """Holds the writes of one connection back."""

    __slots__ = (
        "_after_frames",
        "_flush_scheduled",
        "_flush_wanted",
        "_is_in",
        "_loop",
        "_outbox",
        "_write",
        "is_blocked",
    )

    def __init__(self, outbox: Outbox, write: Callable[[], None]) -> None:
        """`write` is to write the outbox, unless the socket is full or closed."""
        self._loop = asyncio.get_running_loop()
        self._outbox = outbox
        self._write = write
        self._is_in = False
        self._after_frames: list[Callable[[], None]] = []
        self._flush_wanted = False
        self._flush_scheduled = False
        self.is_blocked = False
        """Whether the socket is full; the transport writes as soon as it is not."""

    # For the transport.

    def put_in(self) -> None:
        """Hold writes back from now on: frames are about to be dealt with."""
        self._is_in = True

    def end_batch(self) -> None:
        """Continue the tasks that the frames of the batch concern, then write."""
        while self._after_frames:
            rest, self._after_frames = iter(self._after_frames), []
            try:
                for callback in rest:
                    callback()
            except BaseException:
                # SystemExit of a task, or KeyboardInterrupt: the others go on later.
                self._after_frames[:0] = rest
                raise
        if self._outbox.size:
            self._write()

    def pull_out(self) -> None:
        """Let each write go out by itself again."""
        self._is_in = False
        if self._after_frames:
            # The last write of the batch has failed, which concerns tasks too.
            for callback in self._after_frames:
                self._loop.call_soon(callback)
            self._after_frames.clear()
        if self._flush_wanted:
            self._flush_wanted = False
            self.flush_soon()

    # For sessions and streams.

    def after_frames(self, callback: Callable[[], None]) -> None:
        """Call `callback` when the frames that were received have been dealt with.

        Frames that it sends leave with the answers to those. The event loop calls it,
        never a task.
        """
        if self._is_in:
            self._after_frames.append(callback)
        else:
            self._loop.call_soon(callback)

    def flush(self) -> None:
        """Write the outbox now, unless frames are being dealt with."""
        if not self._is_in:
            self._write()

    def flush_soon(self) -> None:
        """Write the outbox in the next turn of the loop, with all it holds then."""
        if self._outbox.size > FLUSH_SIZE:
            self._write()
        elif not (self._is_in or self.is_blocked or self._flush_scheduled):
            self._flush_scheduled = True
            self._loop.call_soon(self._flush_now)

    def flush_after_tasks(self) -> None:
        """Write once the tasks started by these frames have had their first step.

        The answers of these tasks share one write then, and leave a turn of the loop
        earlier than if each task asked for it.
        """
        self._flush_wanted = True

    def _flush_now(self) -> None:
        self._flush_scheduled = False
        self._write()
