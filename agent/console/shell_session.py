# SPDX-License-Identifier: Apache-2.0
"""One shell of the debug console, on a terminal of its own.

    peer (a connection, or the console) ──► master ⇄ slave ──► shell
                                        ◄──

The session is over when the shell has ended and the peer has the output, or when the
peer has gone. Then every process of the session is killed.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import os
from collections.abc import Callable
from typing import Final

from kata_agent.blocking import uninterrupted
from kata_agent.console.kill import kill_session
from kata_agent.console.pump import Pump
from kata_agent.container.end_of_file_key import EndOfFileKey
from kata_agent.container.terminal_peer import TerminalPeer
from kata_agent.linux.spawn import DEFAULT_ENVIRONMENT, Command
from kata_agent.linux.terminal import set_window_size
from kata_agent.reaper import Reaper

log = logging.getLogger(__name__)

CHECK_SECONDS: Final = 1.0
"""The time between two checks for a peer that has gone without an event."""
SIZE: Final = (24, 80)
"""Rows and columns, because the peer has no way to send its own."""

ENVIRONMENT: Final = {**DEFAULT_ENVIRONMENT, "HOME": "/root", "TERM": "xterm"}


class ShellSession:
    """A shell and its peer."""

    def __init__(
        self, reaper: Reaper, peer: int, has_gone: Callable[[int], bool]
    ) -> None:
        """Serve the open descriptor `peer`, which the caller closes.

        `has_gone` returns whether the other end of a descriptor is closed.
        """
        self._reaper = reaper
        self._peer = peer
        self._has_gone = has_gone
        self._over = asyncio.Event()
        self._hung_up = False

    async def run(self, shell: str) -> None:
        """Run the program `shell` to the end of the session."""
        master, slave = os.openpty()
        loop = asyncio.get_running_loop()
        terminal = TerminalPeer(master)
        # Of a shell and the shells in it, each takes one.
        end_of_file = EndOfFileKey(master, terminal, edited_presses=math.inf)
        try:
            try:
                set_window_size(slave, *SIZE)
                child = self._reaper.spawn(
                    Command([shell], terminal=os.ttyname(slave), env=ENVIRONMENT)
                )
            finally:
                os.close(slave)
            log.info("debug console opened", extra={"shell_pid": child.pid})
            # Only then the output can end.
            child.on_exit(lambda _: terminal.close())
            for fd in (self._peer, master):
                os.set_blocking(fd, False)

            def input_ended(is_broken: bool) -> None:
                if is_broken:
                    # The shell has ended: `_output_ended` is called next.
                    return
                if self._has_gone(self._peer):
                    self._hang_up()
                    return
                # The peer is only done with sending, and may want the other output.
                end_of_file.start(after=to_shell.last)

            watch = loop.create_task(self._watch_peer())
            with contextlib.ExitStack() as pumps:
                pumps.callback(watch.cancel)
                pumps.callback(end_of_file.stop)
                try:
                    to_shell = Pump(loop, self._peer, master, input_ended)
                    pumps.callback(to_shell.stop)
                    to_peer = Pump(loop, master, self._peer, self._output_ended)
                    pumps.callback(to_peer.stop)
                    await self._over.wait()
                except BaseException:
                    self._hung_up = True
                    raise
                finally:
                    pumps.close()
                    if self._hung_up:
                        await uninterrupted(kill_session, child.pid)
            await child.wait()
            log.info("debug console closed", extra={"shell_pid": child.pid})
        finally:
            terminal.close()
            os.close(master)

    def _output_ended(self, is_broken: bool) -> None:
        if is_broken:
            self._hang_up()
        self._over.set()

    async def _watch_peer(self) -> None:
        while True:
            if self._has_gone(self._peer):
                self._hang_up()
                return
            await asyncio.sleep(CHECK_SECONDS)

    def _hang_up(self) -> None:
        self._hung_up = True
        self._over.set()
