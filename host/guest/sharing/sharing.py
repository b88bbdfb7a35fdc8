# SPDX-License-Identifier: Apache-2.0
"""Starts the server for the volumes of one container in a VM."""

from __future__ import annotations

import contextlib
import json
import os
import select
import subprocess
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Final

from kata_host.child import child_environment, module_command
from kata_host.guest.guest import GuestError
from kata_host.guest.sharing.share_request import Shared, SharedPath, ShareRequest
from kata_host.interruption import INTERRUPTION

START_TIMEOUT: Final = 60.0
"""Seconds for the start of programs, and for QEMU to take devices."""
UNPLUG_TIMEOUT: Final = 60.0
"""Seconds that a guest may take to let the devices of a container go."""
END_TIMEOUT: Final = 10.0
"""Seconds to wait for a server whose folder is gone; a guest may keep it for longer."""


class Sharing:
    """The volumes of a container, in its VM for as long as a folder exists."""

    def __init__(
        self, monitor: Path, folder: Path, *, unplug_timeout: float = UNPLUG_TIMEOUT
    ) -> None:
        """`monitor` is QEMU's (`kata_host.guest.vm_disks`)."""
        self._monitor = monitor
        self._folder = folder.absolute()
        self._unplug_timeout = unplug_timeout
        self._server: subprocess.Popen[bytes] | None = None

    def start(self, paths: Sequence[SharedPath]) -> Sequence[Shared]:
        """Put files and directories into the VM, and return what they are there.

        Blocks. Raises `GuestError`; nothing is left then.
        """
        monitor, folder = os.fspath(self._monitor), os.fspath(self._folder)
        request = ShareRequest(monitor, folder, list(paths), self._unplug_timeout)
        words = json.dumps(asdict(request))
        with INTERRUPTION.uninterrupted():
            self._server = subprocess.Popen(
                module_command("kata_host.guest.sharing", words),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
                env=child_environment(),
            )
        assert self._server.stdout is not None
        with self._server.stdout as reply:
            if not select.select([reply], [], [], START_TIMEOUT)[0]:
                # One that waits for a dead disk cannot be waited for.
                self._server.kill()
                raise GuestError(f"volumes: not ready after {START_TIMEOUT:g} s")
            line = reply.readline()
        answer = json.loads(line or '{"error": "volumes: server was killed"}')
        if "error" in answer:
            self._server.wait()
            raise GuestError(answer["error"])
        return [Shared(**each) for each in answer["shared"]]

    def wait(self) -> None:
        """Wait until the volumes have left the VM, after the folder's end. Blocks.

        A guest that does not let them go keeps the caller for up to `END_TIMEOUT`.
        """
        if self._server is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._server.wait(END_TIMEOUT)
