# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import fcntl
import os
import shutil
from pathlib import Path
from typing import IO

import pytest

from kata_host.image.errors import ImageError
from kata_host.image.store_directory import StoreDirectory, default_directory


def test_the_store_is_where_the_user_keeps_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("KATA_IMAGE_STORE", raising=False)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert default_directory() == Path("/var/lib/kata-agent/store")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert default_directory() == tmp_path / "kata-agent/store"
    monkeypatch.setenv("XDG_DATA_HOME", "relative")
    assert default_directory() == Path.home() / ".local/share/kata-agent/store"
    monkeypatch.setenv("KATA_IMAGE_STORE", str(tmp_path / "x"))
    assert default_directory() == tmp_path / "x"


def test_the_store_is_of_its_user_alone(tmp_path: Path) -> None:
    assert StoreDirectory(tmp_path / "a/b").path.stat().st_mode & 0o777 == 0o700
    (tmp_path / "open").mkdir(mode=0o755)
    (tmp_path / "file").touch()
    with pytest.raises(ImageError, match="not a directory of this user alone"):
        StoreDirectory(tmp_path / "open")
    with pytest.raises(ImageError, match="^image store .*: File exists"):
        StoreDirectory(tmp_path / "file")


def test_one_is_alone_after_all_others(tmp_path: Path) -> None:
    store = StoreDirectory(tmp_path / "store")
    with store.locked(alone=False), store.locked(alone=False):
        with store.try_alone() as alone:
            assert not alone
    with store.locked(alone=True), store.try_alone() as alone:
        assert not alone
    with store.try_alone() as alone:
        assert alone
    with store.index_locked(), store.locked(alone=True):
        pass


def test_an_image_in_use_is_seen(tmp_path: Path) -> None:
    store = StoreDirectory(tmp_path / "store")
    id = "sha256:" + "a" * 64
    with pytest.raises(FileNotFoundError), store.used(id):
        pass
    store.config_of(id).write_text("{}")
    assert store.ids() == [id]
    assert not store.is_used(id)
    with store.used(id):
        assert store.is_used(id)
    assert not store.is_used(id)


def test_an_image_is_kept_as_long_as_a_folder(tmp_path: Path) -> None:
    store = StoreDirectory(tmp_path / "store")
    first, other = "sha256:" + "a" * 64, "sha256:" + "b" * 64
    folder = tmp_path / "c1"
    for id in (first, other):
        store.config_of(id).write_text("{}")
        folder.mkdir()
        store.keep(id, folder)
        store.sweep([first, other], [])
        assert store.is_used(id)
        shutil.rmtree(folder)
    folder.mkdir()
    store.keep(other, folder)
    # The folder is another container's now.
    assert not store.is_used(first)
    assert store.is_used(other)
    store.sweep([first, other], [])
    assert len(list((store.path / "uses").iterdir())) == 2
    shutil.rmtree(folder)
    store.sweep([first, other], [])
    assert not list((store.path / "uses").iterdir())


def test_the_lock_of_a_use_is_that_of_the_image_that_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may be removed, and added again, before the lock is taken."""
    store = StoreDirectory(tmp_path / "store")
    id = "sha256:" + "a" * 64
    store.config_of(id).write_text("{}")
    flock = fcntl.flock

    def late(file: IO[bytes], operation: int) -> None:
        monkeypatch.undo()
        store.config_of(id).rename(tmp_path / "removed")
        store.config_of(id).write_text("{}")
        flock(file, operation)

    monkeypatch.setattr(fcntl, "flock", late)
    with pytest.raises(FileNotFoundError, match="replaced"), store.used(id):
        pass
    with store.used(id):
        assert store.is_used(id)


def test_what_the_table_does_not_name_is_swept(tmp_path: Path) -> None:
    store = StoreDirectory(tmp_path / "store")
    kept, gone = (f"sha256:{digit * 64}" for digit in "ab")
    for id in (kept, gone):
        store.config_of(id).write_text("{}")
        store.disk_of(id).write_text("")
        (store.layer_of(id) / "deep/er").mkdir(parents=True)
    other = "sha512:" + "c" * 128
    store.layer_of(other).mkdir()
    (store.path / "kata-image.0123abcd").mkdir()
    store.sweep([kept], [kept, other])
    assert store.ids() == [kept]
    names = sorted(path.name for path in store.path.iterdir())
    assert names == ["disks", "images", "layers", "uses"]
    assert store.disk_of(kept).exists()
    assert not store.disk_of(gone).exists()
    assert sorted(path.name for path in (store.path / "layers").iterdir()) == [
        "a" * 64,
        "sha512-" + "c" * 128,
    ]
