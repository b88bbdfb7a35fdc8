# SPDX-License-Identifier: Apache-2.0
"""The debug console of any agent; test_shell.py has whole conversations with one."""

from __future__ import annotations

import socket

from kata_host.ctl.raw_console import RawConsole


async def test_bytes_stay_what_they_are_and_a_size_is_not_sent() -> None:
    ours, guest = socket.socketpair()
    with ours, guest:
        ours.setblocking(False)
        console = RawConsole(ours)
        await console.resize(30, 100)
        await console.send(b"\0\x1dls\n")
        assert guest.recv(64) == b"\0\x1dls\n"
        guest.send(b"\1\0\0\0\2hi")
        guest.close()
        shown = b"".join([part async for part in console.output()])
        assert shown == b"\1\0\0\0\2hi"
        assert console.status() == 0
