# SPDX-License-Identifier: Apache-2.0
"""A guest, without asyncio."""

from __future__ import annotations

from typing import Self

from kata_host.network import Network
from kata_host.sdk import guest
from kata_host.sync.blocking import Blocking, around, blocking
from kata_host.sync.box import Box
from kata_host.sync.files import Files
from kata_host.sync.forward import Forward
from kata_host.sync.loop_thread import LOOP


class Guest(Blocking[guest.Guest]):
    """Does what `kata_host.Guest` does; any number of threads may use it at a time.

    with Guest.local() as guest:
        result = guest.run(["uname", "-a"])
    """

    @classmethod
    def local(cls, *, network: Network = "none") -> Self:
        """Return a local guest: see `kata_host.Guest.local`."""
        return cls(guest.Guest.local(network=network))

    @classmethod
    def vm(
        cls,
        *,
        cpus: int = 1,
        memory: int | str = "512m",
        network: Network = "none",
        warm: bool | None = None,
    ) -> Self:
        """Return a virtual machine: see `kata_host.Guest.vm`."""
        return cls(guest.Guest.vm(cpus=cpus, memory=memory, network=network, warm=warm))

    @classmethod
    def connect(cls, name: str, *, timeout: float = guest.CONNECT_TIMEOUT) -> Self:
        """Return a guest that runs already: see `kata_host.Guest.connect`."""
        return cls(guest.Guest.connect(name, timeout=timeout))

    run = blocking(guest.Guest.run)
    forward = around(Forward)(guest.Guest.forward)
    container = around(Box)(guest.Guest.container)

    @property
    def files(self) -> Files:
        """The files of the guest itself; those of a container are `Box.files`."""
        return Files(self.inner.files)

    def __enter__(self) -> Self:
        LOOP.wait(self.inner.start())
        return self

    def __exit__(self, *exc_info: object) -> None:
        LOOP.wait(self.inner.stop())
