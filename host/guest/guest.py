# SPDX-License-Identifier: Apache-2.0
"""The Protocol of a guest: a local guest and a VM are used in the same way."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

from kata_host.errors import SandboxError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from typing import Self

AGENT_PORT: Final = 1024
"""The vsock port of the agent, unless an option of the agent names another."""


FORWARD_PORT: Final = 1028
"""The vsock port of the agent's forwarder in guests of ours."""
FORWARD_OPTION: Final = f"agent.forward_vport={FORWARD_PORT}"
"""The kernel option that turns it on."""


class GuestError(SandboxError):
    """A guest could not be started, or has ended by itself. The message is one line."""


class OwnGuest(Protocol):
    """A guest that this process starts and ends.

    As a context manager, the guest is started on entry and stopped on exit.
    """

    @property
    def socket(self) -> Path:
        """The path of the hybrid-vsock socket."""

    @property
    def address(self) -> str:
        """The agent's address for a client: `hvsock://<socket>:1024`."""

    def start(self) -> None:
        """Start the guest and return when its socket takes connections.

        The agent may not listen yet. Until the agent does, the socket closes a
        connection to the agent's port, so clients try again.

        Raises `GuestError` if the guest cannot be started; nothing is left of it then.
        """

    def give_up(self) -> None:
        """Let a `start` that another thread is in fail soon.

        The guest is not used any more. May be called at any time, from any thread.
        """

    def ending(self, timeout: float = 0) -> str | None:
        """Return one line that says how the guest ended, or None while it runs.

        Waits for the end for up to `timeout` seconds.
        """

    def console_tail(self, lines: int = 20) -> Sequence[str]:
        """Return the last lines that the guest has written to its console."""

    def stop(self) -> None:
        """End the guest and remove all of it. May be called at any time."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *exc_info: object) -> None: ...
