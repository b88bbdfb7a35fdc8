# SPDX-License-Identifier: Apache-2.0
"""A container's bundle: the directory with `config.json` that the runtime reads.

`root.path` stays where the host put the root file system; it is not mounted a
second time.
"""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path
from typing import Final

from kata_agent.errors import InvalidArgument, NotFound
from kata_agent.oci.spec import Spec


class Bundle:
    """The directory `/run/kata-containers/<container id>`."""

    def __init__(self, sandbox: Path, container_id: str) -> None:
        self.path: Final = sandbox / container_id
        self._container_id = container_id

    @property
    def hook_output(self) -> Path:
        """Where hooks write, to be quoted when one fails."""
        return self.path / "hooks.log"

    def write(self, spec: Spec) -> None:
        """Make the directory and its `config.json`. May block."""
        self.path.mkdir(mode=0o755, parents=True, exist_ok=True)
        config = self.path / "config.json"
        temporary = self.path / ".config.json"
        # The spec holds the environment: nobody but root reads it.
        fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with open(fd, "w") as file:
            json.dump(spec, file)
        os.rename(temporary, config)

    def remove(self) -> None:
        """Remove what `write` and the hooks made; a root file system stays."""
        for name in ("config.json", ".config.json", self.hook_output.name):
            with contextlib.suppress(FileNotFoundError):
                (self.path / name).unlink()
        # Storages may have put a mount point here; they remove it themselves.
        with contextlib.suppress(OSError):
            self.path.rmdir()


def check_rootfs(container_id: str, path: str) -> None:
    """Raise unless `path` is an absolute path to a directory without links.

    May block: the directory may be on a mount whose host does not answer.
    """
    where = f"container {container_id!r}: root file system {path!r}"
    if not os.path.isabs(path):
        raise InvalidArgument(f"{where}: not an absolute path")
    if not os.path.isdir(path):
        raise NotFound(f"{where}: no such directory")
    if os.path.realpath(path) != os.path.normpath(path):
        raise InvalidArgument(f"{where}: leads through a symbolic link")
