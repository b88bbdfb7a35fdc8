# SPDX-License-Identifier: Apache-2.0
"""A person at a real terminal: tmux, driven in its control mode (man 1 tmux).

tmux draws what programs write. Its server has one thread, and tells of each output and
answers each request in order, on one stream. So the screen that an answer holds has all
output that was told before, and a test waits for the next output and for no time.
"""

from __future__ import annotations

import os
import re
import select
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

PATIENCE: Final = 60.0
"""Seconds to wait for something to be on the screen."""
_SETTINGS: Final = "set-option -g status off\n"
"""All rows are the window's. (Not here: window-size, which makes a new session of tmux
3.3a crash. It is manual from the first resize-window on.)"""
_SHELL: Final = ("env", "-u", "ENV", "PS1=[$((n=n+1)):$?]$ ", "sh")
"""A shell whose prompts are numbered and have the last exit status: `[2:0]$`."""
_ANSWER: Final = re.compile(rb"%begin (\d+ \d+ 1)")
"""The beginning of an answer to this client (man 1 tmux, CONTROL MODE)."""


class Tmux:
    """One window with a shell in it."""

    def __init__(
        self, folder: Path, environment: Mapping[str, str], *, rows: int, columns: int
    ) -> None:
        """Keep the server's socket in `folder`, where the shell is too.

        A server for each shell: that of Debian 12, 3.3a, may lose output, or end, when
        `respawn-pane` starts another shell in a window.
        """
        settings = folder / "tmux.conf"
        settings.write_text(_SETTINGS)
        program = ["tmux", "-S", str(folder / "tmux"), "-f", str(settings)]
        size = ("-x", str(columns), "-y", str(rows))
        # Returns when the server and the session are there.
        subprocess.run(
            [*program, "new-session", "-d", *size, *_SHELL],
            cwd=folder,
            env=environment,
            check=True,
        )
        self._control = subprocess.Popen(
            [*program, "-C", "attach-session"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
        )
        self._unread = b""
        self._prompts = 0
        (pid,) = self._ask("display-message -p '#{pid}'")
        self._server = os.pidfd_open(int(pid))
        assert self.status() == 0

    def resize(self, rows: int, columns: int) -> None:
        """Make the window larger or smaller, as a person who drags its corner."""
        self._ask(f"resize-window -x {columns} -y {rows}")

    def press(self, *keys: str) -> None:
        """Press keys by tmux's names, `C-c` or `Enter`."""
        self._ask(f"send-keys {' '.join(keys)}")

    def enter(self, line: str) -> None:
        """Type a line."""
        self._ask(f"send-keys -H {line.encode().hex(' ')}")
        self.press("Enter")

    def expect(self, pattern: str) -> re.Match[str]:
        """Wait until a regular expression matches on the screen."""
        end = time.monotonic() + PATIENCE
        while not (found := re.search(pattern, screen := self.screen(), re.MULTILINE)):
            try:
                self._wait_for_change(end)
            except TimeoutError:
                raise AssertionError(f"no {pattern!r} on:\n{screen}") from None
        return found

    def screen(self) -> str:
        """Return what is on the screen now, without the blanks at the end of lines."""
        lines = self._ask("capture-pane -p -J")
        return "\n".join(line.rstrip() for line in lines).rstrip()

    def status(self) -> int:
        """Wait for the next prompt of the shell; return the exit status in it."""
        self._prompts += 1
        return int(self.expect(rf"\[{self._prompts}:(\d+)\]\$\Z")[1])

    def close(self) -> None:
        """End the server, the shell, and all that runs in the window."""
        assert self._control.stdin is not None
        self._control.stdin.write(b"kill-server\n")
        self._control.communicate()
        select.select([self._server], [], [])
        os.close(self._server)

    def _ask(self, command: str) -> Sequence[str]:
        """Give a command of tmux; return the lines of its answer."""
        assert self._control.stdin is not None
        self._control.stdin.write(f"{command}\n".encode())
        self._control.stdin.flush()
        end = time.monotonic() + PATIENCE
        while not (begun := _ANSWER.fullmatch(self._line(end))):
            pass
        answer = []
        while (line := self._line(end)) != b"%end " + begun[1]:
            assert line != b"%error " + begun[1], (command, answer)
            answer.append(line.decode())
        return answer

    def _wait_for_change(self, end: float) -> None:
        """Wait for a line that tells of one. Raises `TimeoutError`."""
        self._line(end)
        while b"\n" in self._unread:
            self._line(end)

    def _line(self, end: float) -> bytes:
        """Return the next line of the control mode. Raises `TimeoutError`."""
        assert self._control.stdout is not None
        while b"\n" not in self._unread:
            left = max(end - time.monotonic(), 0)
            if not select.select([self._control.stdout], [], [], left)[0]:
                raise TimeoutError("tmux says nothing")
            data = os.read(self._control.stdout.fileno(), 1 << 16)
            assert data, "tmux has ended"
            self._unread += data
        line, _, self._unread = self._unread.partition(b"\n")
        return line
