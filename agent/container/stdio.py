# SPDX-License-Identifier: Apache-2.0
"""The agent's side of a process's standard streams, on pipes or on a terminal."""

from __future__ import annotations

import fcntl
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from kata_agent.container.output import Output
from kata_agent.container.terminal_input import TerminalInput
from kata_agent.container.terminal_peer import TerminalPeer


class Input(Protocol):
    """The stream that clients write and a process reads."""

    async def write(self, data: bytes) -> int:
        """Write all of `data`, in turn with other writers; return its length.

        After `end` nothing is written, and the result is 0. Raises `Internal` once no
        process reads the stream.
        """
        ...

    def end(self) -> None:
        """Let the process read the end of the stream, after all that was written."""
        ...

    def process_ended(self) -> None:
        """Give up what is of no use any more; called when the process has ended."""
        ...

    def close(self) -> None:
        """Close at once; a waiting writer fails."""
        ...


@dataclass(slots=True)
class Stdio:
    """One input and one or two outputs."""

    input: Input
    stdout: Output
    stderr: Output | None
    """None on a terminal, which has one output for both."""
    resize: Callable[[int, int], None] | None = None
    """Sets a terminal's size, in rows and columns; None without a terminal."""
    peer: TerminalPeer | None = None
    """The agent's own hold on a terminal."""

    @property
    def outputs(self) -> list[Output]:
        return [output for output in (self.stdout, self.stderr) if output is not None]

    def output(self, *, stderr: bool) -> Output:
        """Return stdout or stderr; a terminal has one output for both."""
        return self.stderr if stderr and self.stderr is not None else self.stdout

    def process_ended(self) -> None:
        """End the outputs, at once or soon, because their process has ended.

        An input that no process can read any more is closed.
        """
        self.input.process_ended()
        if self.peer is not None:
            self.peer.close()
        for output in self.outputs:
            output.end_soon()

    def close(self, *, keep: Sequence[Output] = ()) -> None:
        """Close every stream, except for the outputs `keep`."""
        self.input.close()
        if self.peer is not None:
            self.peer.close()
        for output in self.outputs:
            if output not in keep:
                output.close()


def terminal_stdio(master: int) -> Stdio:
    """Return the streams of the terminal whose master is `master`, and own it.

    Raises `OSError`; then `master` is still the caller's.
    """
    peer = TerminalPeer(master)
    try:
        # Two descriptors of one file, so that each stream owns one.
        stdin = TerminalInput(fcntl.fcntl(master, fcntl.F_DUPFD_CLOEXEC, 3), peer)
    except BaseException:
        peer.close()
        raise
    return Stdio(stdin, Output(master), None, stdin.resize, peer)
