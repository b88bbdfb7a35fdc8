# SPDX-License-Identifier: Apache-2.0
"""Standard output for `print`, whose errors are none of the work itself."""

from __future__ import annotations

import io
import select
from typing import TYPE_CHECKING

from kata_host.stream_error import write_error

if TYPE_CHECKING:
    from typing_extensions import Buffer


class OutputFile(io.FileIO):
    """A descriptor that stays open; a write to it waits or raises `StreamError`."""

    def __init__(self, fd: int) -> None:
        super().__init__(fd, "wb", closefd=False)

    def write(self, data: Buffer, /) -> int:
        """Write some of `data`, once there is room in a pipe that does not block."""
        try:
            while (written := super().write(data)) is None:
                select.select([], [self], [])
        except OSError as error:
            raise write_error(self.fileno(), error) from error
        return written
