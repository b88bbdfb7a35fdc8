# SPDX-License-Identifier: Apache-2.0
"""Batches that wait for the collector."""

from __future__ import annotations

from collections import deque

from kata_tracing.batch import Batch


class Spool:
    """Batches in the order they were encoded, bounded in bytes. Not thread-safe."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._batches: deque[Batch] = deque()
        self._bytes = 0

    @property
    def oldest(self) -> Batch | None:
        """The batch to send next."""
        return self._batches[0] if self._batches else None

    def add(self, batch: Batch) -> int:
        """Append a batch; return how many spans the oldest batches lost for it."""
        self._batches.append(batch)
        self._bytes += len(batch.body)
        lost = 0
        while self._bytes > self._max_bytes:
            lost += self.pop().spans
        return lost

    def pop(self) -> Batch:
        """Remove and return the oldest batch. Raises `IndexError` if there is none."""
        batch = self._batches.popleft()
        self._bytes -= len(batch.body)
        return batch

    def clear(self) -> None:
        self._batches.clear()
        self._bytes = 0
