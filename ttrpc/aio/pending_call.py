# SPDX-License-Identifier: Apache-2.0
"""A unary call of the client that has not been answered."""

from __future__ import annotations

from ttrpc.aio.wakeup import Wakeup


class PendingCall:
    """Holds the outcome of a call until its task takes it."""

    __slots__ = ("_wakeup", "error", "payload")

    def __init__(self) -> None:
        self._wakeup = Wakeup()
        self.payload: bytes | None = None
        """The payload of the response. Set this or `error`, then call `wake`."""
        self.error: Exception | None = None

    async def outcome(self) -> bytes:
        """Wait for the outcome: return the payload, or raise the error."""
        while self.payload is None:
            if self.error is not None:
                raise self.error
            await self._wakeup
        return self.payload

    def wake(self) -> None:
        """Continue the task that waits for the outcome."""
        self._wakeup.wake()
