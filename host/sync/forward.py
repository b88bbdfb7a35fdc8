# SPDX-License-Identifier: Apache-2.0
"""A program of a guest on a port of this host, without asyncio."""

from __future__ import annotations

from kata_host.sdk import forward
from kata_host.sync.blocking import Blocking
from kata_host.sync.loop_thread import LOOP


class Forward(Blocking[forward.Forward]):
    """Does what `kata_host.sdk.forward.Forward` does."""

    @property
    def port(self) -> int:
        """The port of this host."""
        return self.inner.port

    def __enter__(self) -> str:
        return LOOP.wait(self.inner.__aenter__())

    def __exit__(self, *exc_info: object) -> None:
        LOOP.wait(self.inner.__aexit__(*exc_info))
