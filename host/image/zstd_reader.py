# SPDX-License-Identifier: Apache-2.0
"""A zstd stream, decompressed by the program `zstd`.

Python has a decoder of its own only since 3.14; the program is in Debian, runs on a CPU
of its own, and bounds the memory that a frame asks for (`--memory`).
"""

from __future__ import annotations

import subprocess
import threading
from typing import Final, Self

from kata_host.image.errors import ImageError
from kata_host.needed_programs import missing
from kata_host.tar.readable import Readable

COMMAND: Final = ("zstd", "--decompress", "--stdout", "--quiet", "--memory=128MB")
CHUNK: Final = 1 << 18
_NO_NAME: Final = r"/*stdin*\ : "
"""How the program names its standard input."""


class ZstdReader:
    """Decompresses `stream`, as a context manager that ends the program."""

    def __init__(self, stream: Readable) -> None:
        self._stream = stream
        self._failure: Exception | None = None

    def __enter__(self) -> Self:
        if fault := missing(COMMAND[0]):
            raise ImageError(f"{fault}, and a layer needs it")
        self._process = subprocess.Popen(
            COMMAND,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        self._feeder = threading.Thread(target=self._feed)
        self._feeder.start()
        return self

    def read(self, size: int, /) -> bytes:
        """Raises `ImageError` at the end of a stream that is damaged."""
        assert self._process.stdout is not None
        data = self._process.stdout.read(size)
        if not data and size:
            self._check_end()
        return data

    def _check_end(self) -> None:
        self._feeder.join()
        if self._failure is not None:
            raise self._failure
        if self._process.wait():
            assert self._process.stderr is not None
            lines = self._process.stderr.read(4096).decode(errors="replace")
            reason = lines.strip().splitlines() or ["failed"]
            raise ImageError(f"zstd: {reason[-1].removeprefix(_NO_NAME)}")

    def _feed(self) -> None:
        assert self._process.stdin is not None
        try:
            with self._process.stdin as target:
                while data := self._stream.read(CHUNK):
                    target.write(data)
        except BrokenPipeError:
            return  # The program has ended, and its status says why.
        except Exception as error:
            self._failure = error

    def __exit__(self, *exc_info: object) -> None:
        self._process.kill()
        self._feeder.join()
        self._process.wait()
        for pipe in (self._process.stdout, self._process.stderr):
            assert pipe is not None
            pipe.close()
