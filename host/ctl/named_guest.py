# SPDX-License-Identifier: Apache-2.0
"""A guest that stays when its command has ended, from its start to its sandbox."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from kata_host.ctl.errors import CommandError, guest_errors_as_command_errors
from kata_host.ctl.patience import saying
from kata_host.ctl.ports import CONSOLE_PORT, LOG_PORT, SHELL_PORT
from kata_host.ctl.remark import remark
from kata_host.ctl.signals import run
from kata_host.ctl.target import Target
from kata_host.guest.guest import FORWARD_OPTION

if TYPE_CHECKING:
    from collections.abc import Callable

    from kata_host.guest.start_request import StartRequest

CHECK_TIMEOUT: Final = 30.0
"""Seconds that the agent of a new guest may take to listen, and then to answer."""
OPTIONS: Final = (
    f"agent.debug_console_vport={CONSOLE_PORT}",
    f"agent.log_vport={LOG_PORT}",
    f"agent.shell_vport={SHELL_PORT}",
    FORWARD_OPTION,
)
"""Kernel options for `shell`, `logs` and `forward`; the user's own come after."""


@contextlib.contextmanager
def named_guest(
    request: StartRequest, hostname: str = "", container: str | None = None
) -> Iterator[tuple[str, Callable[[], None]]]:
    """Start a guest with a sandbox, ready for containers; end it if the block fails.

    The host name of its containers is that of the guest by default. `container` is the
    one that the user has named, if the guest is for it alone.

    Yields the agent's address, and a function that has the guest stay after the block.
    Raises `CommandError`.
    """
    from kata_host.ctl.own_guest import ready_image
    from kata_host.guest.held_guest import (
        address_of_held,
        let_go_of_guest,
        started_holder,
    )
    from kata_host.guest.registry import GuestExists, check_name, runtime_directory
    from kata_host.keeper.leftovers import remove_leftovers

    with guest_errors_as_command_errors():
        check_name(request.name)
        runtime_directory()
        remove_leftovers()
        if request.kind == "vm":
            ready_image()
    with started_holder(request) as holder:
        with (
            guest_errors_as_command_errors(),
            saying(f"guest '{request.name}' is starting"),
        ):
            try:
                address = address_of_held(holder, remark)
            except GuestExists as error:
                raise CommandError(_who_exists(request.name, container)) from error
        run(_make_ready(address, request, hostname))
        yield address, lambda: let_go_of_guest(holder)


def _who_exists(guest: str, container: str | None) -> str:
    """Return the fault of a name that is taken, and what the user can do."""
    from kata_host.keeper.records import read

    if container is None:
        way = f"kata-agent-ctl guest stop {guest}, or another --name"
        return f"guest '{guest}': already exists ({way})"
    if read(guest, container) is None:
        way = f"--guest {guest}, or another --name"
        return f"container '{container}': a guest has that name ({way})"
    way = f"kata-agent-ctl rm {container}, or another --name"
    return f"container '{container}': already exists ({way})"


async def _make_ready(address: str, request: StartRequest, hostname: str) -> None:
    async with Target(address, timeout=CHECK_TIMEOUT).client() as client:
        await client.check(CHECK_TIMEOUT)
        await client.create_sandbox(
            request.name, hostname=hostname, network=request.network
        )
