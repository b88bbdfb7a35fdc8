# SPDX-License-Identifier: Apache-2.0
"""A server that never outlives its parent."""

from __future__ import annotations

import asyncio
import os
import sys


async def serve_until_stdin_ends() -> None:
    """Say that the server is ready; end the process when standard input does."""
    loop = asyncio.get_running_loop()
    loop.add_reader(sys.stdin, lambda: os.read(0, 4096) or os._exit(0))
    print("ready", flush=True)
    await asyncio.Event().wait()
