# SPDX-License-Identifier: Apache-2.0
"""Folders of the host that a container sees."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from kata_host.client.volume import Volume
from kata_host.errors import NotFound

Volumes = Mapping[str, "str | os.PathLike[str]"]
"""Absolute paths in the container, and files or folders of this host; a text that ends
in `:ro` is one that the container cannot write to."""

HIDDEN: Final = re.compile(r"/(?:dev|proc|run|sys)(?:/|$)")
"""Paths of the host in whose place a local guest has something of its own."""
READ_ONLY: Final = ":ro"


def to_volumes(volumes: Volumes, *, sees_host: bool) -> Sequence[Volume]:
    """Return volumes with the real paths of this host. May block.

    `sees_host` says that the guest is a local one. Raises `NotFound` for a path that is
    not there, and `ValueError`.
    """
    return [
        _to_volume(target, os.fspath(source), sees_host=sees_host)
        for target, source in volumes.items()
    ]


def _to_volume(target: str, source: str, *, sees_host: bool) -> Volume:
    name = f"volume {target!r}"
    if not target.startswith("/") or ".." in target.split("/"):
        raise ValueError(f"{name}: not an absolute path of the container")
    is_read_only = source.endswith(READ_ONLY)
    path = Path(source.removesuffix(READ_ONLY))
    try:
        path = path.resolve(strict=True)
    except (OSError, RuntimeError) as error:
        raise NotFound(f"{name}: no such file or directory: {source}") from error
    if sees_host and HIDDEN.match(str(path)):
        raise ValueError(f"{name}: a local guest has its own {path.parts[1]}: {path}")
    return Volume(str(path), target, is_read_only)
