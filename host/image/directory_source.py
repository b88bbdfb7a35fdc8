# SPDX-License-Identifier: Apache-2.0
"""The files of a saved image that is a directory."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from kata_agent.linux.openat2 import open_beneath
from kata_host.image.errors import ImageError
from kata_host.image.file_part import FilePart


class DirectorySource:
    """Files below `directory`, which no link leads out of; a context manager."""

    def __init__(self, directory: Path) -> None:
        """Raises `OSError`."""
        self._subject = f"image '{directory}'"
        self._root = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)

    def has(self, path: str) -> bool:
        try:
            os.close(open_beneath(self._root, path, os.O_PATH))
        except OSError:
            return False
        return True

    def open(self, path: str) -> FilePart:
        subject = f"{self._subject}: file {path!r:.200}"
        try:
            # A fifo is not waited for.
            flags = os.O_RDONLY | os.O_NONBLOCK
            descriptor = open_beneath(self._root, path, flags)
        except OSError as error:
            raise ImageError(f"{subject}: {os.strerror(error.errno or 0)}") from error
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            os.close(descriptor)
            raise ImageError(f"{subject}: not a regular file")
        return FilePart(descriptor, 0, status.st_size, subject, owned=True)

    def __enter__(self) -> DirectorySource:
        return self

    def __exit__(self, *exc_info: object) -> None:
        os.close(self._root)
