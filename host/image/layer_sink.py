# SPDX-License-Identifier: Apache-2.0
"""Where the entries of a layer go: a directory, or the image of a file system."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Attributes:
    """What an entry has beside its name and content."""

    mode: int = 0o755
    """Permissions, with the set-id bits and the sticky bit."""
    uid: int = 0
    gid: int = 0
    mtime_ns: int = 0
    """Nanoseconds since 1970."""
    xattrs: Mapping[str, bytes] = field(default_factory=dict)


class LayerSink(Protocol):
    """Takes entries in the archive's order; one of the same path replaces the last.

    Paths are relative, without `.` and `..`, and empty for the top. They may hold bytes
    that are not UTF-8, as `os.fsdecode` has them. A parent that is missing is made,
    with the attributes' defaults.

    Every method raises `ImageError` for what a hostile layer asks, or `OSError`.
    """

    def make_directory(self, path: str, attributes: Attributes) -> None: ...

    def make_file(
        self, path: str, attributes: Attributes, chunks: Iterable[bytes]
    ) -> None: ...

    def make_symlink(self, path: str, attributes: Attributes, target: str) -> None: ...

    def make_fifo(self, path: str, attributes: Attributes) -> None: ...

    def make_hard_link(self, path: str, target: str) -> None:
        """Give one more name to the file `target`, a path of this layer."""

    def hide(self, path: str) -> None:
        """Hide what lower layers have at `path`, and nothing of this layer.

        The calls of both kinds come after all entries.
        """

    def hide_below(self, path: str) -> None:
        """Hide what lower layers have in the directory `path`."""

    def finish_layer(self) -> None:
        """Take the end of the layer."""
