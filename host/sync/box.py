# SPDX-License-Identifier: Apache-2.0
"""A container that stays, without asyncio."""

from __future__ import annotations

from typing import Self

from kata_host.sdk import box
from kata_host.sync.blocking import Blocking, around, blocking
from kata_host.sync.files import Files
from kata_host.sync.forward import Forward
from kata_host.sync.loop_thread import LOOP
from kata_host.sync.process import Process


class Box(Blocking[box.Box]):
    """Does what `kata_host.sdk.box.Box` does."""

    run = blocking(box.Box.run)
    forward = around(Forward)(box.Box.forward)
    start = around(Process)(box.Box.start)

    @property
    def files(self) -> Files:
        """The files of the container."""
        return Files(self.inner.files)

    def __enter__(self) -> Self:
        LOOP.wait(self.inner.__aenter__())
        return self

    def __exit__(self, *exc_info: object) -> None:
        LOOP.wait(self.inner.__aexit__(*exc_info))
