# SPDX-License-Identifier: Apache-2.0
"""A process of a box, without asyncio."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Self

from kata_host.sdk import process
from kata_host.sync.blocking import Blocking, blocking
from kata_host.sync.loop_thread import LOOP


class Process(Blocking[process.Process]):
    """Does what `kata_host.sdk.process.Process` does."""

    read = blocking(process.Process.read)
    read_until = blocking(process.Process.read_until)
    write = blocking(process.Process.write)
    close_stdin = blocking(process.Process.close_stdin)
    resize = blocking(process.Process.resize)
    signal = blocking(process.Process.signal)
    wait = blocking(process.Process.wait)

    def read_stderr(self) -> bytes:
        """Return standard error that is there, once there is some; b"" at its end."""
        return LOOP.wait(self.inner.stderr.read())

    def __iter__(self) -> Iterator[bytes]:
        """Yield standard output as it comes, until its end."""
        while data := self.read():
            yield data

    def __enter__(self) -> Self:
        LOOP.wait(self.inner.__aenter__())
        return self

    def __exit__(self, *exc_info: object) -> None:
        LOOP.wait(self.inner.__aexit__(*exc_info))
