# SPDX-License-Identifier: Apache-2.0
"""The files of a box, without asyncio."""

from __future__ import annotations

from kata_host.sdk import files
from kata_host.sync.blocking import Blocking, blocking


class Files(Blocking[files.Files]):
    """Does what `kata_host.sdk.files.Files` does; `progress` is called in a thread of
    the SDK."""

    write = blocking(files.Files.write)
    read = blocking(files.Files.read)
    stat = blocking(files.Files.stat)
    list = blocking(files.Files.list)
    remove = blocking(files.Files.remove)
    upload = blocking(files.Files.upload)
    download = blocking(files.Files.download)
