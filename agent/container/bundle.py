# SPDX-License-Identifier: Apache-2.0
"""A container's bundle: the directory with `config.json` that the runtime reads.

The root file system stays where the host put it (`root.path`), and is not mounted a
second time.
"""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path
from typing import Final

from kata_agent.container.hook_output import HookOutput
from kata_agent.errors import InvalidArgument, NotFound
from kata_agent.oci.spec import Spec


class Bundle:
    """The directory `/run/kata-containers/<container id>`."""

    def __init__(self, sandbox: Path, container_id: str) -> None:
        self.path: Final = sandbox / container_id
        self._container_id = container_id
        self.hook_output: Final = HookOutput(self.path / "hook-output")

    def write(self, spec: Spec) -> None:
        """Make the directory and its `config.json`, an OCI spec.

        In the /run of the guest, a file system in memory, this does not block.
        """
        self.path.mkdir(mode=0o755, parents=True, exist_ok=True)
        config = self.path / "config.json"
        temporary = self.path / ".config.json"
        # Only root may read the spec, because it holds the environment.
        fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with open(fd, "wb") as file:
            file.write(json.dumps(spec).encode())
        os.rename(temporary, config)
        if spec.get("hooks"):
            self.hook_output.make()

    def remove(self) -> None:
        """Remove the files of `write` and of the hooks; a root file system stays."""
        self.hook_output.remove()
        for name in ("config.json", ".config.json"):
            with contextlib.suppress(FileNotFoundError):
                (self.path / name).unlink()
        # Storages remove the mount points that they may have made here.
        with contextlib.suppress(OSError):
            self.path.rmdir()


def check_rootfs(container_id: str, path: str) -> None:
    """Check that `path` is an absolute path to a directory, without links.

    Raises `InvalidArgument` or `NotFound`. May block, because the directory may be on a
    mount whose host does not answer.
    """
    where = f"container {container_id!r}: root file system {path!r}"
    if not os.path.isabs(path):
        raise InvalidArgument(f"{where}: not an absolute path")
    if not os.path.isdir(path):
        raise NotFound(f"{where}: no such directory")
    if os.path.realpath(path) != os.path.normpath(path):
        raise InvalidArgument(f"{where}: leads through a symbolic link")
