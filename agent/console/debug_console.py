# SPDX-License-Identifier: Apache-2.0
"""The debug console: a shell in the guest, for those that the host lets in.

    agent.debug_console                 on /dev/console, one shell after the other
    agent.debug_console_vport=1026      on a vsock port, a shell for each connection
    agent.shell_vport=1030              so too, in frames: size and status (framed_wire)

The console has to work when the rest of the guest hangs. It therefore depends only on a
shell in the guest: neither a sandbox nor a container can hold it up.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, Final

from kata_agent.console.peer import peer_has_gone
from kata_agent.console.raw_wire import RawWire
from kata_agent.console.shell_cgroup import ShellCgroup
from kata_agent.console.shell_session import ShellSession
from kata_agent.console.wire import Wire
from kata_agent.linux.terminal import pass_input_raw
from kata_agent.ports.acceptor import Acceptor
from kata_agent.ports.ports import Ports
from kata_agent.reaper import Reaper

log = logging.getLogger(__name__)

SHELLS: Final = ("/bin/bash", "/bin/sh")
RETRY_SECONDS: Final = 1.0
"""The time before the next shell on the console, and before the next try to listen."""
SESSION_LIMIT: Final = 32
"""Shells that may run on the ports at the same time."""


class DebugConsole:
    """Runs shells until it is closed."""

    def __init__(
        self,
        reaper: Reaper,
        shells: tuple[str, ...] = SHELLS,
        cgroup: ShellCgroup | None = None,
    ) -> None:
        """Run the first program of `shells` that there is, in `cgroup` if given."""
        self._reaper = reaper
        self._shells = shells
        self._cgroup = cgroup
        self._tasks: set[asyncio.Task[None]] = set()
        self._acceptors: list[Acceptor] = []
        self._sessions = 0
        if cgroup is not None:
            self._start(cgroup.remove_when_left())

    def serve_port(
        self, ports: Ports, port: int, wire: Callable[[], Wire] = RawWire
    ) -> None:
        """Accept connections on guest port `port`, as soon as there are ports.

        `wire` makes what reads and writes the bytes of one connection.
        """
        try:
            self._accept(ports.listen(port), wire)
        except OSError:
            self._start(self._accept_when_possible(ports, port, wire))

    def serve_terminal(self, terminal: Path) -> None:
        """Start a shell on `terminal`, and a new one whenever it ends."""
        self._start(self._repeat(terminal))

    async def close(self) -> None:
        """End every shell, with all processes of its session."""
        for acceptor in self._acceptors:
            acceptor.close()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._cgroup is not None:
            await self._cgroup.remove()

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("debug console failed", exc_info=error)

    def _accept(self, listener: socket.socket, wire: Callable[[], Wire]) -> None:
        def accepted(connection: socket.socket) -> None:
            self._accepted(connection, wire())

        self._acceptors.append(Acceptor(listener, accepted))

    async def _accept_when_possible(
        self, ports: Ports, port: int, wire: Callable[[], Wire]
    ) -> None:
        # The vsock device may come after the agent has started.
        while True:
            await asyncio.sleep(RETRY_SECONDS)
            try:
                self._accept(ports.listen(port), wire)
            except OSError as error:
                log.debug("debug console waits", extra={"error": str(error)})
            else:
                return

    def _accepted(self, connection: socket.socket, wire: Wire) -> None:
        if self._sessions >= SESSION_LIMIT:
            log.warning("debug console refused", extra={"limit": SESSION_LIMIT})
            connection.close()
            return
        self._sessions += 1
        self._start(self._serve(connection, wire))

    async def _serve(self, connection: socket.socket, wire: Wire) -> None:
        try:
            with connection:
                shell = self._shell()
                if shell is not None:
                    session = ShellSession(
                        self._reaper,
                        connection.fileno(),
                        peer_has_gone,
                        wire,
                        self._cgroup,
                    )
                    await session.run(shell)
        finally:
            self._sessions -= 1

    async def _repeat(self, terminal: Path) -> None:
        while True:
            shell = self._shell()
            if shell is None:
                return
            fd = os.open(terminal, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
            try:
                # This terminal passes input on as it is, because the terminal of the
                # shell edits and echoes that input.
                pass_input_raw(fd)
                session = ShellSession(
                    self._reaper, fd, lambda fd: False, cgroup=self._cgroup
                )
                await session.run(shell)
            finally:
                os.close(fd)
            await asyncio.sleep(RETRY_SECONDS)

    def _shell(self) -> str | None:
        for shell in self._shells:
            if os.access(shell, os.X_OK):
                return shell
        log.error("debug console: no shell", extra={"looked_for": self._shells})
        return None
