# SPDX-License-Identifier: Apache-2.0
"""A client of QEMU's monitor, which plugs devices into a VM that runs.

One JSON object a line: commands go up, results and events come down (QEMU,
docs/interop/qmp-spec.rst). Blocking, for one thread.
"""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Self

from kata_host.guest.guest import GuestError

COMMAND_TIMEOUT: Final = 30.0

LINE_LIMIT: Final = 16 << 20
"""Bytes of one message."""

Event = Mapping[str, Any]


class QmpError(GuestError):
    """QEMU refused a command, or is gone."""


class Qmp:
    """One connection to QEMU's monitor socket, which takes one client at a time."""

    def __init__(self, path: Path) -> None:
        self._events: list[Event] = []
        self._connection = socket.socket(socket.AF_UNIX)
        self._lines = self._connection.makefile("rb")
        try:
            self._connection.settimeout(COMMAND_TIMEOUT)
            self._connection.connect(str(path))
            self._receive()  # The greeting.
            self("qmp_capabilities")
        except BaseException as error:
            self.close()
            if not isinstance(error, OSError):
                raise
            raise QmpError(f"qmp: {error}") from error

    def __call__(self, command: str, /, **arguments: Any) -> Any:
        """Run a command and return its result. Raises `QmpError`."""
        return self._run(command, arguments, ())

    def give_descriptor(self, name: str, fd: int) -> None:
        """Give QEMU a copy of `fd`, which it knows as `name`. Raises `QmpError`."""
        self._run("getfd", {"fdname": name}, (fd,))

    def _run(
        self, command: str, arguments: Mapping[str, Any], descriptors: Sequence[int]
    ) -> Any:
        request = {"execute": command, "arguments": arguments}
        line = json.dumps(request).encode() + b"\n"
        try:
            if descriptors:
                # With the first byte at the latest; a short line goes in one piece.
                socket.send_fds(self._connection, [line], descriptors)
            else:
                self._connection.sendall(line)
        except OSError as error:
            raise QmpError(f"qmp: {command}: {error}") from error
        while True:
            message = self._receive()
            if "event" in message:
                self._events.append(message)
            elif "error" in message:
                raise QmpError(f"qmp: {command}: {message['error']['desc']}")
            else:
                return message["return"]

    def wait_for_event(
        self,
        name: str,
        timeout: float,
        matches: Callable[[Event], bool] = lambda event: True,
    ) -> Event:
        """Return the first event of that name, also one that has already come.

        Raises `QmpError` if none comes within `timeout` seconds.
        """
        deadline = time.monotonic() + timeout
        while True:
            for event in self._events:
                if event["event"] == name and matches(event):
                    self._events.remove(event)
                    return event
            self._connection.settimeout(max(0.001, deadline - time.monotonic()))
            try:
                message = self._receive()
            finally:
                self._connection.settimeout(COMMAND_TIMEOUT)
            self._events.append(message)

    def close(self) -> None:
        """Close the connection; QEMU goes on."""
        self._lines.close()
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def _receive(self) -> dict[str, Any]:
        try:
            line = self._lines.readline(LINE_LIMIT)
        except OSError as error:
            raise QmpError(f"qmp: {error}") from error
        if not line:
            raise QmpError("qmp: qemu has closed the connection")
        message: dict[str, Any] = json.loads(line)
        return message
