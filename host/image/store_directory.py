# SPDX-License-Identifier: Apache-2.0
"""The directory of a store: where it is, what is in it, and its lock.

    index.json             the table of images
    lock                   locked shared while an image is added, alone while one goes
    images/HEX.json        the configuration; locked shared by whoever uses the image
    layers/HEX/            a layer, by the digest of its tar
    disks/HEX.erofs        an image as a read-only disk
    uses/HEX.1f0a93c2      a link to a file of a container that has the image
    kata-image.1f0a93c2/   being made (`kata_host.scratch`)

Only what is complete has its name in `images`, `layers` and `disks`, by a rename.
What the table does not name there was being added or removed by a process that was
killed, and goes with the next command.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Final

from kata_host.image.errors import ImageError
from kata_host.scratch import Scratch, sweep
from kata_host.user_directory import user_directory

VARIABLE: Final = "KATA_IMAGE_STORE"
"""Names another directory."""
PARTS: Final = ("images", "layers", "disks", "uses")


def default_directory() -> Path:
    """Return the store of this user: in /var/lib for root, else `XDG_DATA_HOME`'s.

    Raises `OSError`.
    """
    if named := os.environ.get(VARIABLE):
        return Path(named).absolute()
    if os.geteuid() == 0:
        return Path("/var/lib/kata-agent/store")
    return user_directory("XDG_DATA_HOME", ".local/share") / "store"


class StoreDirectory:
    """The paths and the lock of a store at `path`."""

    def __init__(self, path: Path) -> None:
        """Make the directory if there is none. Raises `ImageError`."""
        self.path = path
        self.index = path / "index.json"
        try:
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
            for name in PARTS:
                (path / name).mkdir(mode=0o700, exist_ok=True)
            status = path.lstat()
        except OSError as error:
            raise ImageError(f"image store {path}: {error.strerror}") from error
        # A set-id program of an image is not for the users of this host.
        is_own = stat.S_ISDIR(status.st_mode) and status.st_uid == os.geteuid()
        if not is_own or status.st_mode & 0o077:
            raise ImageError(f"image store {path}: not a directory of this user alone")

    def config_of(self, id: str) -> Path:
        return self.path / "images" / f"{_hex(id)}.json"

    def layer_of(self, diff_id: str) -> Path:
        return self.path / "layers" / _hex(diff_id)

    def disk_of(self, id: str) -> Path:
        return self.path / "disks" / f"{_hex(id)}.erofs"

    def scratch(self) -> Scratch:
        """Return a directory for what is being made, on the same file system."""
        return Scratch("image", self.path)

    @contextlib.contextmanager
    def locked(self, *, alone: bool) -> Iterator[None]:
        """Hold the lock for the block: with others, or alone after all others."""
        with self._opened_lock() as descriptor:
            fcntl.flock(descriptor, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
            yield

    def sweep(self, images: Collection[str], layers: Collection[str]) -> None:
        """Remove what killed processes left, and what the table has no more.

        For the holder of the lock alone. Raises `OSError`.
        """
        sweep(self.path)
        layer_names = {_hex(diff_id) for diff_id in layers}
        image_names = {_hex(id) for id in images}
        kept = {"layers": layer_names, "images": image_names, "disks": image_names}
        for part, names in kept.items():
            for path in (self.path / part).iterdir():
                if path.name.partition(".")[0] not in names:
                    self._discard(path)
        for link in (self.path / "uses").iterdir():
            if not link.exists():
                link.unlink()

    @contextlib.contextmanager
    def index_locked(self) -> Iterator[None]:
        """Hold the table for a change of it; those who add an image take turns."""
        with self._opened_lock("index.lock") as descriptor:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield

    @contextlib.contextmanager
    def try_alone(self) -> Iterator[bool]:
        """Hold the lock alone for the block, or tell that others hold it."""
        with self._opened_lock() as descriptor:
            yield _try_lock(descriptor)

    @contextlib.contextmanager
    def used(self, id: str) -> Iterator[None]:
        """Keep an image from removal for the block. Raises `FileNotFoundError`."""
        path = self.config_of(id)
        with open(path, "rb") as config:
            fcntl.flock(config, fcntl.LOCK_SH)
            # Between the two calls it may have been removed, and added again.
            if not os.path.samestat(path.stat(), os.fstat(config.fileno())):
                raise FileNotFoundError(errno.ENOENT, "replaced", str(path))
            yield

    def keep(self, id: str, folder: Path) -> None:
        """Keep an image from removal as long as `folder` exists, in a block of `used`.

        A file is made in `folder`, whose name is the image's, so that another folder
        of that path keeps no image that is not its own. Raises `OSError`.
        """
        mark = folder.absolute() / f"image-{_hex(id)}"
        mark.touch()
        name = f"{_hex(id)}.{os.urandom(4).hex()}"
        (self.path / "uses" / name).symlink_to(mark)

    def is_used(self, id: str) -> bool:
        """Tell whether a process or a container uses the image.

        For the holder of the lock alone.
        """
        links = (self.path / "uses").glob(f"{_hex(id)}.*")
        if any(link.exists() for link in links):
            return True
        with open(self.config_of(id), "rb") as config:
            return not _try_lock(config.fileno())

    def ids(self) -> list[str]:
        """Return the ids of all configurations that are there."""
        return [f"sha256:{path.stem}" for path in (self.path / "images").glob("*.json")]

    def _discard(self, path: Path) -> None:
        # Renamed first: a process that is killed leaves nothing half-removed.
        with self.scratch() as scratch:
            path.rename(scratch / path.name)

    @contextlib.contextmanager
    def _opened_lock(self, name: str = "lock") -> Iterator[int]:
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
        descriptor = os.open(self.path / name, flags, 0o600)
        try:
            yield descriptor
        finally:
            os.close(descriptor)


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _hex(digest: str) -> str:
    algorithm, _, digits = digest.partition(":")
    return digits if algorithm == "sha256" else f"{algorithm}-{digits}"
