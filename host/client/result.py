# SPDX-License-Identifier: Apache-2.0
"""The outcome of a command in a guest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from kata_host.errors import CommandFailed, OutOfMemory, describe_status
from kata_host.printable import printable


@dataclass(frozen=True, slots=True)
class Result:
    """The exit status and the whole output of a command that has ended."""

    status: int
    """The command's exit status, or 128+n if signal n ended the command."""
    stdout: bytes
    stderr: bytes
    oom_killed: bool = False
    """Whether the kernel has killed a process of the command's container because no
    memory was left. Known of commands that the SDK runs."""
    is_cut: bool = False
    """Whether the output was longer than the limit of the call, and its end is left
    out."""

    @property
    def text(self) -> str:
        """Standard output as text; bytes that are not UTF-8 are replaced."""
        return self.stdout.decode(errors="replace")

    def check(self) -> Self:
        """Return this result if the status is 0.

        Raises `OutOfMemory` if a process was killed for that, and `CommandFailed`.
        """
        if self.status == 0:
            return self
        kind = OutOfMemory if self.oom_killed else CommandFailed
        words = ["command", describe_status(self.status)]
        if self.oom_killed:
            words.append("out of memory")
        lines = self.stderr.decode(errors="replace").splitlines()
        # A command chooses its words, and programs write them to terminals.
        words += map(printable, lines[-1:])
        message = ": ".join(words)
        raise kind(message, self.stdout, self.stderr, status=self.status)
