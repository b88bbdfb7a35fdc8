# SPDX-License-Identifier: Apache-2.0
"""Guests on this host: what a local guest and a VM have in common.

A guest is a process tree with an agent inside, and one unix socket outside: who
connects to it names a port of the guest (`hybrid.py`), and connections that the
guest opens to host port P arrive at `<socket>_P`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from typing import Self

AGENT_PORT: Final = 1024
"""Where the agent serves, unless it was told another port."""


class GuestError(Exception):
    """A guest could not be started, or ended by itself; one line says why."""


class Guest(Protocol):
    """A guest that this process has started, and ends.

    Used as a context manager, it runs inside the block and is gone after it.
    """

    @property
    def socket(self) -> Path:
        """The hybrid-vsock socket."""

    @property
    def address(self) -> str:
        """The agent's address for a client: `hvsock://<socket>:1024`."""

    def start(self) -> None:
        """Start the guest. Blocks until its socket takes connections.

        The agent may need a moment more: until it listens, the socket closes
        what asks for its port, and a client tries again.

        Raises `GuestError`; then nothing is left behind.
        """

    def ending(self, timeout: float = 0) -> str | None:
        """Say in one line how the guest ended, or return None while it runs.

        Waits for the end for up to `timeout` seconds.
        """

    def console_tail(self, lines: int = 20) -> Sequence[str]:
        """Return the last lines that the guest wrote to its console."""

    def stop(self) -> None:
        """End the guest and remove all that it was. May be called at any time."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *exc_info: object) -> None: ...
