# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import fcntl
import json
import os
from pathlib import Path

import pytest

from kata_host.guest.image import agent, store
from kata_host.guest.image.store import Image


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


def make_image(directory: Path, agent_digest: str = "") -> Image:
    directory.mkdir(parents=True)
    (directory / "manifest.json").write_text(json.dumps({"agent": agent_digest}))
    (directory / "initrd").write_bytes(b"initrd")
    return Image(directory)


def test_the_cache_is_below_the_users(tmp_path: Path) -> None:
    assert store.cache() == tmp_path / "kata-agent"


def test_an_image_is_found_when_it_is_complete() -> None:
    assert store.find() is None
    store.image_directory().mkdir(parents=True)
    assert store.find() is None
    (store.image_directory() / "manifest.json").write_text("{}")
    assert store.find() == Image(store.image_directory())


def test_the_files_of_an_image_are_in_its_directory(tmp_path: Path) -> None:
    image = Image(tmp_path)
    assert {image.kernel.name, image.initrd.name, image.root.name} == set(store.PARTS)
    assert image.tree == tmp_path / "tree"


def test_the_recipe_is_the_builders_files() -> None:
    recipe = store.recipe()
    assert len(bytes.fromhex(recipe)) == 32
    assert store.recipe() == recipe
    assert store.image_directory().name == f"image-{recipe[:16]}"


def test_old_images_are_removed_but_the_newest(tmp_path: Path) -> None:
    for number in range(store.KEPT + 2):
        directory = store.cache() / f"image-{number}"
        make_image(directory)
        os.utime(directory, (number, number))
    (store.cache() / "apt").mkdir()
    store.remove_old()
    left = sorted(path.name for path in store.cache().iterdir())
    assert left == ["apt", "image-2", "image-3", "image-4"]


def test_an_image_with_our_packages_boots_its_own_initrd() -> None:
    image = make_image(store.cache() / "image", agent.digest())
    assert image.boot_archive() == image.initrd


def test_an_image_with_other_packages_boots_an_initrd_with_ours(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    image = make_image(store.cache() / "image", "of another tree")
    (image.directory / "initrd-0123").touch()
    made = []

    def source_archive(image: Image) -> bytes:
        made.append(image)
        return b"packages"

    monkeypatch.setattr(Image, "source_archive", source_archive)
    archive = image.boot_archive()
    assert archive.read_bytes() == b"initrdpackages"
    # Kept until our packages change; the file for other packages is removed.
    assert image.boot_archive() == archive
    assert len(made) == 1
    assert [path.name for path in image.directory.glob("initrd-*")] == [archive.name]


def test_one_process_at_a_time_holds_the_lock() -> None:
    with store.locked(), open(store.cache() / "lock") as other:
        with pytest.raises(BlockingIOError):
            fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
    with open(store.cache() / "lock") as other:
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
