# SPDX-License-Identifier: Apache-2.0
"""One shell of the debug console, on a terminal of its own.

    peer (a connection, or the console) ──► master ⇄ slave ──► shell
                                        ◄──

The session is over when the shell has ended and the peer has the output, or when the
peer has gone or breaks the protocol of its wire. Then every process of the session is
killed.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import os
import socket
from collections.abc import Callable
from typing import Final

from kata_agent.blocking import uninterrupted
from kata_agent.console.kill import kill_session
from kata_agent.console.pump import Pump
from kata_agent.console.raw_wire import RawWire
from kata_agent.console.shell_cgroup import ShellCgroup
from kata_agent.console.wire import Wire
from kata_agent.container.end_of_file_key import EndOfFileKey
from kata_agent.container.terminal_peer import TerminalPeer
from kata_agent.linux.spawn import DEFAULT_ENVIRONMENT, Command
from kata_agent.linux.terminal import set_window_size
from kata_agent.reaper import Reaper

log = logging.getLogger(__name__)

CHECK_SECONDS: Final = 1.0
"""The time between two checks for a peer that has gone without an event."""
SIZE: Final = (24, 80)
"""Rows and columns, unless the peer sends its own."""

ENVIRONMENT: Final = {**DEFAULT_ENVIRONMENT, "HOME": "/root", "TERM": "xterm"}


class ShellSession:
    """A shell and its peer."""

    def __init__(
        self,
        reaper: Reaper,
        peer: int,
        has_gone: Callable[[int], bool],
        wire: Wire | None = None,
        cgroup: ShellCgroup | None = None,
    ) -> None:
        """Serve the open descriptor `peer`, which the caller closes; `wire` says what
        its bytes mean (default: what they are). The shell runs in `cgroup`, if given.

        `has_gone` returns whether the other end of a descriptor is closed.
        """
        self._reaper = reaper
        self._peer = peer
        self._has_gone = has_gone
        self._wire = RawWire() if wire is None else wire
        self._cgroup = cgroup
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
            # Only then the output can end, and the shell leaves its cgroup.
            child.on_exit(lambda _: terminal.close())
            if (cgroup := self._cgroup) is not None:
                child.on_exit(lambda _: cgroup.left())
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

            def keys_of(data: bytes) -> bytes:
                return self._keys_of(data, master)

            watch = loop.create_task(self._watch_peer())
            with contextlib.ExitStack() as pumps:
                pumps.callback(watch.cancel)
                pumps.callback(end_of_file.stop)
                try:
                    if self._cgroup is not None:
                        # Before the first key, and so before what that starts.
                        await self._cgroup.add(child.pid)
                    to_shell = Pump(loop, self._peer, master, input_ended, keys_of)
                    pumps.callback(to_shell.stop)
                    shown = self._wire.output
                    to_peer = Pump(loop, master, self._peer, self._output_ended, shown)
                    pumps.callback(to_peer.stop)
                    await self._over.wait()
                except BaseException:
                    self._hung_up = True
                    raise
                finally:
                    pumps.close()
                    if self._hung_up:
                        await uninterrupted(kill_session, child.pid)
            status = await child.wait()
            if not self._hung_up:
                await self._send(self._wire.ended(status))
            log.info("debug console closed", extra={"shell_pid": child.pid})
        finally:
            if self._cgroup is not None:
                # The shell may have ended before its cgroup was made.
                self._cgroup.left()
            terminal.close()
            os.close(master)

    def _output_ended(self, is_broken: bool) -> None:
        if is_broken:
            self._hang_up()
        self._over.set()

    def _keys_of(self, data: bytes, master: int) -> bytes:
        """Return the keys in what the peer has sent, and set the size that it sent."""
        before = self._wire.size
        try:
            keys = self._wire.received(data)
        except ValueError as error:
            log.warning("debug console refused input", extra={"error": str(error)})
            self._hang_up()
            return b""
        if (size := self._wire.size) is not None and size != before:
            set_window_size(master, *size)
        return keys

    async def _send(self, data: bytes) -> None:
        """Send the last bytes, unless the peer goes before it takes them."""
        if not data:
            return
        loop = asyncio.get_running_loop()
        with socket.socket(fileno=os.dup(self._peer)) as peer:
            peer.setblocking(False)
            sending = loop.create_task(loop.sock_sendall(peer, data))
            leaving = loop.create_task(self._watch_peer())
            both: set[asyncio.Task[None]] = {sending, leaving}
            try:
                await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for task in both:
                    task.cancel()
                await asyncio.wait(both)
            if not sending.cancelled():
                # A peer that has just gone is no error.
                sending.exception()

    async def _watch_peer(self) -> None:
        while True:
            if self._has_gone(self._peer):
                self._hang_up()
                return
            await asyncio.sleep(CHECK_SECONDS)

    def _hang_up(self) -> None:
        self._hung_up = True
        self._over.set()
