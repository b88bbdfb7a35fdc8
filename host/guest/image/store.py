# SPDX-License-Identifier: Apache-2.0
"""The directory of images: `$XDG_CACHE_HOME/kata-agent/image-RECIPE`, one a recipe.

    vmlinux, initrd, root.erofs    the files for QEMU
    manifest.json                  the packages in the image, and digests of its files
    tree/                          the root file system, whose interpreter compiles

A recipe is the digest of the builder's own files.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from kata_host.guest.image import agent, tree
from kata_host.guest.image.cpio import CpioArchive
from kata_host.guest.image.initrd import SOURCE
from kata_host.guest.image.python import VERSION
from kata_host.scratch import Scratch
from kata_host.user_directory import user_directory

PARTS: Final = ("vmlinux", "initrd", "root.erofs")
KEPT: Final = 3
_RECIPE: Final = ("*.py", "*.txt", "../kernel.py")


@dataclass(frozen=True, slots=True)
class Image:
    """A built image."""

    directory: Path

    @property
    def kernel(self) -> Path:
        return self.directory / "vmlinux"

    @property
    def initrd(self) -> Path:
        return self.directory / "initrd"

    @property
    def root(self) -> Path:
        return self.directory / "root.erofs"

    @property
    def tree(self) -> Path:
        return self.directory / "tree"

    @property
    def manifest(self) -> dict[str, Any]:
        content: dict[str, Any] = json.loads(
            (self.directory / "manifest.json").read_text()
        )
        return content

    def boot_archive(self) -> Path:
        """Return the initrd, with our packages in it if they differ from the image's.

        An initrd with packages is kept under their digest until they change again.
        """
        digest = agent.digest()
        if digest == self.manifest["agent"]:
            return self.initrd
        archive = self.directory / f"initrd-{digest[:16]}"
        with locked():
            if not archive.exists():
                content = self.initrd.read_bytes() + self.source_archive()
                for stale in self.directory.glob("initrd-*"):
                    stale.unlink()
                new = archive.with_suffix(".new")
                new.write_bytes(content)
                new.rename(archive)
        return archive

    def source_archive(self) -> bytes:
        """Return a cpio archive with our packages as they are now, compiled."""
        with Scratch("source") as directory:
            source = directory / agent.HOME / "source"
            agent.copy_source(source)
            tree.compile_python(
                self.tree, VERSION, {source: (2,)}, compiled_root=directory
            )
            archive = CpioArchive()
            archive.add_tree(source, SOURCE)
            return archive.finish()


def cache() -> Path:
    """Return the directory of images and downloads. Raises `OSError`."""
    return user_directory("XDG_CACHE_HOME", ".cache")


@contextmanager
def locked() -> Iterator[None]:
    """Hold the lock of the cache while the block runs."""
    directory = cache()
    directory.mkdir(parents=True, exist_ok=True)
    with open(directory / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def recipe() -> str:
    """Return the digest of this builder: a SHA-256 in hex of its own files."""
    here = Path(__file__).parent
    total = hashlib.sha256()
    for pattern in _RECIPE:
        for path in sorted(here.glob(pattern)):
            total.update(path.read_bytes())
    return total.hexdigest()


def image_directory() -> Path:
    """Return the directory of this builder's image, which may not exist yet."""
    return cache() / f"image-{recipe()[:16]}"


def find() -> Image | None:
    """Return the image that this builder has built, or None."""
    image = Image(image_directory())
    return image if (image.directory / "manifest.json").exists() else None


def remove_old() -> None:
    """Remove all images but the newest few, which other source trees may use."""
    images = sorted(cache().glob("image-*"), key=lambda path: path.stat().st_mtime)
    for old in images[:-KEPT]:
        shutil.rmtree(old, ignore_errors=True)
