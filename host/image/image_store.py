# SPDX-License-Identifier: Apache-2.0
"""The images of this user, kept for all guests and programs of this host.

    store = ImageStore.open()
    image = store.obtain("python.tar")
    with store.used(image) as layers: ...

A layer is unpacked once, whichever images have it. Any number of processes may use a
store at the same time, and one that is killed leaves nothing that the next does not
remove.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Self

from kata_agent.linux import libc
from kata_host.explain import explain
from kata_host.image.archive import Archive, is_archive, opened_archive
from kata_host.image.config import ImageConfig
from kata_host.image.container_image import ContainerImage
from kata_host.image.erofs_image import ErofsImage
from kata_host.image.errors import ImageError, ImageNotFound
from kata_host.image.fetch import fetch
from kata_host.image.layer_directory import LayerDirectory
from kata_host.image.layer_reader import read_layer
from kata_host.image.limits import UnpackLimits
from kata_host.image.reference import check_reference, id_start, whole_name
from kata_host.image.saved_image import SavedImage
from kata_host.image.store_directory import StoreDirectory, default_directory
from kata_host.image.store_index import (
    StoreIndex,
    read_index,
    sync_directory,
    write_index,
)
from kata_host.image.unpack import unpack_layer


class ImageStore:
    """The store in a directory. Every method raises `ImageError`."""

    def __init__(self, directory: StoreDirectory) -> None:
        self._directory = directory

    @classmethod
    def open(cls, path: Path | None = None) -> Self:
        """Open the store at `path`, by default that of this user; make it if need be.

        What killed processes have left is removed, unless another process adds an
        image right now.
        """
        with _errors():
            store = cls(StoreDirectory(path or default_directory()))
            with store._directory.try_alone() as alone:
                if alone:
                    store._sweep()
        return store

    @property
    def path(self) -> Path:
        return self._directory.path

    def images(self) -> Sequence[ContainerImage]:
        """Return all images, sorted by name."""
        index = read_index(self._directory.index)
        images = []
        for id in index.images:
            try:
                images.append(self._image(id, index))
            except ImageError:
                # Another process may have removed it since.
                if id in read_index(self._directory.index).images:
                    raise
        return sorted(images, key=lambda image: image.names)

    def find(self, name: str) -> ContainerImage:
        """Return the image with a name, which may lack its tag `latest`, or with an id
        that starts so. Raises `ImageNotFound`."""
        index = read_index(self._directory.index)
        for candidate in (name, whole_name(name)):
            if (id := index.id_of(candidate)) is not None:
                return self._image(id, index)
        if (start := id_start(name)) is not None:
            found = [id for id in index.images if id.startswith(f"sha256:{start}")]
            if len(found) > 1:
                raise ImageError(f"image '{name}': the start of several ids")
            if found:
                return self._image(found[0], index)
        raise ImageNotFound(f"image '{name}': not in the store")

    def obtain(self, source: str | Path) -> ContainerImage:
        """Return the image that `source` means: a saved image in a file or directory,
        a name of the store, or a reference that is fetched from its registry."""
        path = Path(source)
        is_path = isinstance(source, Path) or source.startswith((".", "/"))
        if not is_path:
            # First, whatever files the current directory has.
            with contextlib.suppress(ImageNotFound):
                return self.find(str(source))
        if is_path or path.is_file() or is_archive(path):
            return self.add(path)
        return self.pull(str(source))

    def add(
        self, path: Path, name: str | None = None, *, select: str | None = None
    ) -> ContainerImage:
        """Keep the saved image at `path`, under `name` or the one that it was saved by.

        `select` is the reference of one of several images in the archive. The name is
        taken from the image that had it.
        """
        with (
            _errors(),
            self._directory.locked(alone=False),
            self._directory.scratch() as scratch,
            opened_archive(path, scratch, select=select) as archive,
        ):
            image = archive.image
            chosen = whole_name(check_reference(name or _name_of(image, path)))
            index = read_index(self._directory.index)
            if index.id_of(chosen) == image.id:
                return self._image(image.id, index)
            # Only root can unpack a layer so that its owners are kept.
            add = self._add_disk if os.geteuid() else self._add_layers
            index = self._commit(image, chosen, add(archive, scratch), scratch)
            return self._image(image.id, index)

    def pull(self, reference: str, name: str | None = None) -> ContainerImage:
        """Fetch an image from its registry with skopeo, and keep it under `name`, by
        default its reference."""
        whole = whole_name(check_reference(reference))
        with _errors(), self._directory.scratch() as scratch:
            return self.add(fetch(whole, scratch / "fetched"), name or whole)

    def remove(self, name: str) -> ContainerImage:
        """Take a name away, or with an id all names; return the image.

        With the last name the image goes, and all layers that no other image has.
        Raises `ImageNotFound`, and `ImageError` if the image would go while it is used.
        """
        with _errors(), self._directory.locked(alone=True):
            image = self.find(name)
            index = read_index(self._directory.index)
            named = [n for n in (name, whole_name(name)) if n in image.names][:1]
            for taken in named or image.names:
                index.take(taken)
            if image.id not in index.images and self._directory.is_used(image.id):
                raise ImageError(f"image '{name}': in use by a container")
            # Held until all is gone, so that a kill on the way leaves a sign.
            with self._directory.scratch() as scratch:
                write_index(index, self._directory.index, scratch / "index")
                self._sweep()
            return image

    @contextlib.contextmanager
    def used(self, image: ContainerImage) -> Iterator[Sequence[Path]]:
        """Keep an image from removal for the block.

        Provides the directories of its layers, for `lowerdir` of overlayfs: the
        highest first. Another user than root has none.
        """
        with self._held(image):
            diff_ids = _highest(image.config.diff_ids)
            layers = [self._directory.layer_of(id) for id in reversed(diff_ids)]
            if not all(layer.is_dir() for layer in layers):
                raise ImageError(f"image '{image.name}': its layers need root")
            yield layers

    @contextlib.contextmanager
    def used_as_disk(self, image: ContainerImage) -> Iterator[Path]:
        """Keep an image from removal for the block.

        Provides the file of a read-only disk with an EROFS of all layers, which is made
        at the first use.
        """
        with self._held(image):
            disk = self._directory.disk_of(image.id)
            if not disk.exists():
                with _errors(), self._directory.scratch() as scratch:
                    new = scratch / "disk"
                    with _erofs(new) as sink:
                        for diff_id in _highest(image.config.diff_ids):
                            read_layer(self._directory.layer_of(diff_id), sink)
                    _sync(scratch)
                    new.rename(disk)
            yield disk

    def keep(self, image: ContainerImage, folder: Path) -> None:
        """Keep an image that is used from removal, as long as `folder` exists.

        For containers that outlive the program: call it in the block of `used`.
        """
        with _errors():
            self._directory.keep(image.id, folder)

    @contextlib.contextmanager
    def _held(self, image: ContainerImage) -> Iterator[None]:
        with contextlib.ExitStack() as stack:
            try:
                stack.enter_context(self._directory.used(image.id))
            except FileNotFoundError:
                raise ImageNotFound(f"image '{image.name}': removed") from None
            yield

    def _image(self, id: str, index: StoreIndex) -> ContainerImage:
        try:
            content = self._directory.config_of(id).read_bytes()
        except OSError as error:
            raise ImageError(f"image store: {explain(error)}") from error
        config = ImageConfig.parse(content, f"image {id[:19]}: config")
        entry = index.images[id]
        size = sum(index.layer_sizes.get(layer, 0) for layer in set(config.diff_ids))
        return ContainerImage(id, entry.names, config, size, entry.imported)

    def _add_layers(self, archive: Archive, scratch: Path) -> dict[str, int]:
        """Unpack the layers that are not here; return the sizes of their files."""
        new: dict[str, int] = {}
        for layer in archive.image.layers:
            diff_id = layer.diff_id
            if diff_id in new or self._directory.layer_of(diff_id).exists():
                continue
            directory = scratch / str(len(new))
            directory.mkdir()
            limits = UnpackLimits()
            with (
                archive.opened_layer(layer, limits) as tar,
                LayerDirectory(directory) as sink,
            ):
                size = unpack_layer(tar, sink, layer.subject, limits)
            new[diff_id] = size
        # All content before its name: afterwards a layer is believed by its name.
        _sync(scratch)
        for number, diff_id in enumerate(new):
            _rename(scratch / str(number), self._directory.layer_of(diff_id))
        sync_directory(self.path / "layers")
        return new

    def _add_disk(self, archive: Archive, scratch: Path) -> dict[str, int]:
        """Write all layers into one disk; return the sizes of their files."""
        sizes = {}
        new = scratch / "disk"
        with _erofs(new) as sink:
            layers = {layer.diff_id: layer for layer in archive.image.layers}
            for diff_id in _highest(archive.image.config.diff_ids):
                layer = layers[diff_id]
                limits = UnpackLimits()
                with archive.opened_layer(layer, limits) as tar:
                    size = unpack_layer(tar, sink, layer.subject, limits)
                sizes[layer.diff_id] = size
        _sync(scratch)
        new.rename(self._directory.disk_of(archive.image.id))
        sync_directory(self.path / "disks")
        return sizes

    def _commit(
        self, image: SavedImage, name: str, sizes: dict[str, int], scratch: Path
    ) -> StoreIndex:
        """Enter an image into the table; return that, which others change next."""
        config = scratch / "config"
        config.write_bytes(image.config_content)
        _sync(scratch)
        with self._directory.index_locked():
            if not self._directory.config_of(image.id).exists():
                config.rename(self._directory.config_of(image.id))
                sync_directory(self.path / "images")
            index = read_index(self._directory.index)
            index.layer_sizes.update(sizes)
            index.put(image.id, name, int(time.time()))
            write_index(index, self._directory.index, scratch / "index")
            return index

    def _sweep(self) -> None:
        """Remove what is neither in the table nor used. The lock is held alone."""
        index = read_index(self._directory.index)
        ids = set(index.images)
        ids |= {id for id in self._directory.ids() if self._directory.is_used(id)}
        layers: set[str] = set()
        for id in ids:
            content = self._directory.config_of(id).read_bytes()
            layers.update(ImageConfig.parse(content, f"image {id[:19]}").diff_ids)
        self._directory.sweep(ids, layers)


def _highest(diff_ids: Sequence[str]) -> Sequence[str]:
    """Return the layers from the lowest up, each once.

    The place that counts is the highest: what the layer has, it has over all others.
    """
    return tuple(reversed(dict.fromkeys(reversed(diff_ids))))


def _name_of(image: SavedImage, path: Path) -> str:
    """Return the name that the image was saved by; of a tag alone, the file's name."""
    stem = path.name.partition(".")[0] or path.absolute().name
    if not image.names:
        return stem
    name = image.names[0]
    return name if ":" in name or "/" in name else f"{stem}:{name}"


@contextlib.contextmanager
def _erofs(path: Path) -> Iterator[ErofsImage]:
    with open(path, "xb") as file:
        sink = ErofsImage(file)
        yield sink
        sink.finish()


def _rename(source: Path, target: Path) -> None:
    try:
        source.rename(target)
    except OSError:
        # Another process has added the same layer meanwhile.
        if not target.exists():
            raise


def _sync(path: Path) -> None:
    """Write all data of the file system to its disk (man 2 syncfs)."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        libc.call("syncfs", descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _errors() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ImageError(f"image store: {explain(error)}") from error
