# SPDX-License-Identifier: Apache-2.0
"""One shell of the debug console, on a terminal of its own.

    peer (a connection, or the console) ──► master ⇄ slave ──► shell
                                        ◄──

The session is over when the shell has ended and its output is with the peer, or when
the peer has gone: then everything that runs in the shell's session is killed.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import select
import signal
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Final

from kata_agent.linux.spawn import DEFAULT_ENVIRONMENT
from kata_agent.linux.terminal import set_window_size
from kata_agent.reaper import Reaper

log = logging.getLogger(__name__)

CHUNK: Final = 65536
LOOK_SECONDS: Final = 1.0
"""Between two looks for a peer that has gone without a word."""
END_OF_FILE: Final = b"\x04"
"""What a person types to say so (Control-D)."""
SIZE: Final = (24, 80)
"""Rows and columns: the peer has no way to tell its own."""

ENVIRONMENT: Final = {**DEFAULT_ENVIRONMENT, "HOME": "/root", "TERM": "xterm"}


class Session:
    """A shell and its peer."""

    def __init__(
        self, reaper: Reaper, peer: int, has_gone: Callable[[int], bool]
    ) -> None:
        """Serve the open descriptor `peer`, which stays the caller's to close."""
        self._reaper = reaper
        self._peer = peer
        self._has_gone = has_gone
        self._over = asyncio.Event()
        self._hung_up = False
        self._input_at_end = False
        self._master = -1

    async def run(self, shell: str) -> None:
        """Run `shell` to the end of the session."""
        self._master, slave = os.openpty()
        loop = asyncio.get_running_loop()
        try:
            try:
                set_window_size(slave, *SIZE)
                child = self._reaper.spawn(
                    [shell], terminal=os.ttyname(slave), env=ENVIRONMENT
                )
            finally:
                os.close(slave)
            log.info("debug console opened", extra={"shell_pid": child.pid})
            for fd in (self._peer, self._master):
                os.set_blocking(fd, False)
            to_shell = Pump(loop, self._peer, self._master, self._input_ended)
            to_peer = Pump(loop, self._master, self._peer, self._output_ended)
            watch = loop.create_task(self._watch_peer())
            try:
                await self._over.wait()
            except asyncio.CancelledError:
                self._hung_up = True
                raise
            finally:
                watch.cancel()
                to_shell.stop()
                to_peer.stop()
                if self._hung_up:
                    kill_session(child.pid)
            await child.wait()
            log.info("debug console closed", extra={"shell_pid": child.pid})
        finally:
            os.close(self._master)

    def _input_ended(self, is_broken: bool) -> None:
        if is_broken:
            # The shell has closed its terminal: its end is about to be seen.
            return
        if self._has_gone(self._peer):
            self._hang_up()
            return
        # It only has no more to say, and may want the rest of the output.
        self._input_at_end = True
        self._say_end_of_file()

    def _say_end_of_file(self) -> None:
        with contextlib.suppress(OSError):
            os.write(self._master, END_OF_FILE)

    def _output_ended(self, is_broken: bool) -> None:
        if is_broken:
            self._hang_up()
        self._over.set()

    async def _watch_peer(self) -> None:
        while True:
            if self._has_gone(self._peer):
                self._hang_up()
                return
            await asyncio.sleep(LOOK_SECONDS)
            if self._input_at_end:
                # Again: a shell that was just running a command has not seen it, as
                # it changes the terminal's mode to read its next line.
                self._say_end_of_file()

    def _hang_up(self) -> None:
        self._hung_up = True
        self._over.set()


class Pump:
    """Moves bytes between two nonblocking descriptors, at the pace of the slower.

    It holds one chunk, and reads the next when that is written.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        source: int,
        sink: int,
        ended: Callable[[bool], None],
    ) -> None:
        """Call `ended` once: False at the end of `source`, True when `sink` broke."""
        self._loop = loop
        self._source = source
        self._sink = sink
        self._ended = ended
        self._chunk = b""
        loop.add_reader(source, self._read)

    def stop(self) -> None:
        self._loop.remove_reader(self._source)
        self._loop.remove_writer(self._sink)

    def _read(self) -> None:
        try:
            self._chunk = os.read(self._source, CHUNK)
        except BlockingIOError:
            return
        except OSError:
            # EIO: nobody has the slave open any more; ECONNRESET: the peer died.
            self._chunk = b""
        if not self._chunk:
            self.stop()
            self._ended(False)
            return
        self._loop.remove_reader(self._source)
        self._loop.add_writer(self._sink, self._write)
        self._write()

    def _write(self) -> None:
        try:
            self._chunk = self._chunk[os.write(self._sink, self._chunk) :]
        except BlockingIOError:
            return
        except OSError:
            self.stop()
            self._ended(True)
            return
        if not self._chunk:
            self._loop.remove_writer(self._sink)
            self._loop.add_reader(self._source, self._read)


def peer_has_gone(connection: int) -> bool:
    """Tell whether the other end is closed, and not only done with sending."""
    poll = select.poll()
    poll.register(connection, 0)
    if poll.poll(0):
        # POLLHUP or POLLERR, which need not be asked for.
        return True
    duplicate = socket.socket(fileno=os.dup(connection))
    try:
        # vsock says nothing by poll, but does not take even no byte any more.
        duplicate.send(b"")
    except BlockingIOError:
        return False
    except OSError:
        return True
    finally:
        duplicate.close()
    return False


def kill_session(session: int, proc: Path = Path("/proc")) -> None:
    """Kill every process of `session`, which is its leader's pid."""
    for directory in proc.iterdir():
        if directory.name.isdecimal() and _session_of(directory) == session:
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(directory.name), signal.SIGKILL)


def _session_of(process: Path) -> int:
    try:
        stat = (process / "stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return -1
    # pid (command) state ppid pgrp session ...; the command may hold anything.
    return int(stat.rpartition(")")[2].split()[3])
