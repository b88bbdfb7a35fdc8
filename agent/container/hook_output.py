# SPDX-License-Identifier: Apache-2.0
"""The pipe into which the hooks of a container write.

crun opens the file that an annotation names (`merge_hooks`). A named pipe in its place,
which the agent drains while the runtime runs hooks, keeps a hook from filling the guest
with its output, and from waiting for a reader.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from kata_agent.drain import Drain
from kata_agent.errors import Internal

QUOTED: Final = 4096
"""Bytes of the output that an error quotes: the last ones."""


class HookOutput:
    """A named pipe (man 7 fifo)."""

    def __init__(self, path: Path) -> None:
        self.path: Final = path

    def make(self) -> None:
        """Make the pipe, in a directory that has nothing of that name."""
        os.mkfifo(self.path, 0o600)

    def remove(self) -> None:
        """Remove the pipe; none is fine."""
        self.path.unlink(missing_ok=True)

    @contextlib.contextmanager
    def drained(self) -> Iterator[None]:
        """Drain the pipe, if there is one, during the block.

        An `Internal` of the block gets the output added to its message.
        """
        try:
            # For reading and writing, so that the pipe never ends (man 7 fifo).
            fd = os.open(self.path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        except FileNotFoundError:
            yield
            return
        try:
            drain = Drain(fd, QUOTED)
            try:
                yield
            except Internal as error:
                output = drain.stop().decode(errors="replace").strip()
                if not output:
                    raise
                raise Internal(f"{error}: hooks wrote: {output}") from error
            finally:
                drain.stop()
        finally:
            os.close(fd)
