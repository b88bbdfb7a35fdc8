# SPDX-License-Identifier: Apache-2.0
"""The pipes that carry a process's standard streams."""

from __future__ import annotations

import os
from contextlib import ExitStack
from dataclasses import dataclass

from kata_agent.container.output import Output
from kata_agent.container.pipe_input import PipeInput
from kata_agent.container.pipe_size import set_pipe_size
from kata_agent.container.stdio import Stdio


@dataclass(slots=True)
class Pipes:
    """Three pipes: the agent's ends as a `Stdio`, the process's as descriptors."""

    stdio: Stdio
    readers: tuple[int, int]
    """The descriptors of stdout and stderr in `stdio`, which owns them."""
    stdin: int
    stdout: int
    stderr: int

    def close_process_ends(self) -> None:
        """Close the process's ends, once it has copies of its own."""
        for fd in (self.stdin, self.stdout, self.stderr):
            os.close(fd)


def open_pipes(size: int = 0) -> Pipes:
    """Make the three pipes; those of stdout and stderr hold `size` bytes.

    With 0 they have the kernel's size, and grow once they are busy. The pipe of stdin
    always does. Raises `OSError`; then no descriptor is left open.
    """
    with ExitStack() as made:
        stdin, stdin_writer = _open_pipe(made)
        stdout_reader, stdout = _open_pipe(made)
        stderr_reader, stderr = _open_pipe(made)
        if size > 0:
            for fd in (stdout, stderr):
                set_pipe_size(fd, size)
        made.pop_all()
    stdio = Stdio(
        PipeInput(stdin_writer),
        Output(stdout_reader, grows=not size),
        Output(stderr_reader, grows=not size),
    )
    readers = (stdout_reader, stderr_reader)
    return Pipes(stdio, readers, stdin, stdout, stderr)


def _open_pipe(made: ExitStack) -> tuple[int, int]:
    ends = os.pipe2(os.O_CLOEXEC)
    for fd in ends:
        made.callback(os.close, fd)
    return ends
