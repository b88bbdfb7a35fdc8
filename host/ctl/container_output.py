# SPDX-License-Identifier: Apache-2.0
"""The output of a container that was kept, on our own standard streams."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import TYPE_CHECKING

from kata_host.ctl.host_stream import HostStream
from kata_host.ctl.stamped import Stamped
from kata_host.keeper.follow import follow

if TYPE_CHECKING:
    from kata_host.keeper.record import ContainerRecord


async def show(
    record: ContainerRecord, *, lines: int | None, follow_it: bool, timestamps: bool
) -> None:
    """Write the last `lines` of the output, and what follows until the end."""
    stamped = {1: Stamped(), 2: Stamped()} if timestamps else None
    with contextlib.ExitStack() as stack:
        streams: Mapping[int, HostStream] = {
            fd: stack.enter_context(contextlib.closing(HostStream(fd, writing=True)))
            for fd in (1, 2)
        }
        async for chunk in follow(record, lines=lines, live=follow_it):
            data = chunk.data if stamped is None else stamped[chunk.stream].take(chunk)
            await streams[chunk.stream].write(data)
