# SPDX-License-Identifier: Apache-2.0
"""The table of a store's images: `index.json`, replaced whole.

    {"version": 1,
     "images": {"sha256:...": {"names": ["debian:13"], "imported": 1764000000}},
     "layers": {"sha256:...": 12345}}

`layers` has the bytes of each layer's files.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from kata_host.image.errors import ImageError

VERSION: Final = 1


@dataclass(frozen=True, slots=True)
class IndexEntry:
    """One image: its names, and when it was imported (seconds since 1970)."""

    names: tuple[str, ...]
    imported: int


@dataclass(slots=True)
class StoreIndex:
    """The table in memory; by id and by diff-id."""

    images: dict[str, IndexEntry] = field(default_factory=dict)
    layer_sizes: dict[str, int] = field(default_factory=dict)

    def id_of(self, name: str) -> str | None:
        """Return the id of the image that has `name`."""
        for id, entry in self.images.items():
            if name in entry.names:
                return id
        return None

    def put(self, id: str, name: str, imported: int) -> None:
        """Give `name` to an image; take it from the one that had it.

        An image that loses its last name leaves the table.
        """
        self.take(name)
        old = self.images.get(id)
        names = old.names if old is not None else ()
        self.images[id] = IndexEntry((*names, name), imported)

    def take(self, name: str) -> None:
        """Take a name away, and the image with its last name."""
        id = self.id_of(name)
        if id is None:
            return
        entry = self.images.pop(id)
        names = tuple(other for other in entry.names if other != name)
        if names:
            self.images[id] = IndexEntry(names, entry.imported)


def read_index(path: Path) -> StoreIndex:
    """Read the table; one that is not there is empty. Raises `ImageError`."""
    try:
        content: Any = json.loads(path.read_bytes())
        if content["version"] != VERSION:
            raise ValueError(f"version {content['version']!r}")
        images = {
            id: IndexEntry(tuple(entry["names"]), entry["imported"])
            for id, entry in content["images"].items()
        }
        return StoreIndex(images, dict(content["layers"]))
    except FileNotFoundError:
        return StoreIndex()
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ImageError(f"image store: {path}: not a table: {error}") from error


def write_index(index: StoreIndex, path: Path, new: Path) -> None:
    """Replace the table at `path`, by way of the file `new`. Raises `OSError`."""
    content = {
        "version": VERSION,
        "images": {
            id: {"names": list(entry.names), "imported": entry.imported}
            for id, entry in index.images.items()
        },
        "layers": index.layer_sizes,
    }
    with open(new, "w") as file:
        json.dump(content, file, indent=1)
        file.flush()
        os.fsync(file.fileno())
    new.rename(path)
    sync_directory(path.parent)


def sync_directory(directory: Path) -> None:
    """Make the names in a directory survive a loss of power. Raises `OSError`."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
