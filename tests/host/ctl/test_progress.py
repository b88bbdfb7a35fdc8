# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import subprocess
import sys

from tests.helpers.pseudo_terminal import PseudoTerminal

PROGRAM = """
import asyncio, sys
from kata_host.ctl import progress
progress.PATIENCE = float(sys.argv[1])
async def chunks():
    for _ in range(3):
        yield bytes(1 << 20)
async def main():
    counting = progress.Progress("copying to /\\x1b" + 200 * "x")
    async with counting.shown():
        async for _ in counting.counted(chunks()):
            pass
        await asyncio.to_thread(sys.stdin.readline)
    print("done", file=sys.stderr)
asyncio.run(main())
"""


def test_a_person_sees_how_far_a_copy_is() -> None:
    terminal = PseudoTerminal()
    terminal.resize(24, 60)
    command = [sys.executable, "-c", PROGRAM, "0.01"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stderr=terminal.program
    ) as process:
        assert terminal.expect(b"kata-agent-ctl: ") == b"\r\x1b[K"
        line = terminal.expect(rb"\r").decode()
        assert line.startswith("3 MiB, ")
        assert "MiB/s, copying to /\\x1bxxx" in line
        assert len("kata-agent-ctl: " + line) == 59
        assert process.stdin is not None
        process.stdin.close()
        # Nothing of it stays.
        assert terminal.expect(b"done").endswith(b"\x1b[K")
    terminal.close()


def test_a_program_sees_nothing() -> None:
    command = [sys.executable, "-c", PROGRAM, "0"]
    ran = subprocess.run(command, input=b"", stderr=subprocess.PIPE, check=True)
    assert ran.stderr == b"done\n"
