# SPDX-License-Identifier: Apache-2.0
"""Standard error for `print`, which never fails."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kata_host.output_file import OutputFile
from kata_host.stream_error import StreamError

if TYPE_CHECKING:
    from typing_extensions import Buffer


class ErrorFile(OutputFile):
    """Standard error: what finds no room is dropped, as nothing can tell of it."""

    def write(self, data: Buffer, /) -> int:
        try:
            return super().write(data)
        except StreamError:
            return memoryview(data).nbytes
