# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kata_host.image import image_store
from kata_host.image.errors import ImageError, ImageNotFound
from kata_host.image.image_store import ImageStore
from kata_host.image.store_index import StoreIndex
from tests.helpers.namespace import require_root
from tests.helpers.saved_images import (
    OciLayout,
    device,
    digest,
    docker_archive,
    entry,
    named,
    tar_of,
)
from tests.helpers.source_tree import SOURCES

pytestmark = pytest.mark.root
BASE = tar_of(entry("base", b"base" * 1000))
TOP = tar_of(entry("top", b"top"), entry(".wh.base"))


@pytest.fixture
def store(tmp_path: Path) -> ImageStore:
    require_root()
    return ImageStore.open(tmp_path / "store")


def files(store: ImageStore) -> list[str]:
    """Return what is in the store, without its locks."""
    return sorted(
        str(path.relative_to(store.path))
        for path in store.path.rglob("*")
        if not path.is_dir() and "lock" not in path.name
    )


def test_a_saved_image_is_kept(store: ImageStore, tmp_path: Path) -> None:
    saved = docker_archive(tmp_path / "a.tar", BASE, TOP, Cmd=["sh"])
    image = store.add(saved)
    assert image == store.find("demo:1") == store.find(image.id[7:15])
    assert (image.names, image.config.cmd) == (("demo:1",), ("sh",))
    assert image.size == 4003
    with store.used(image) as layers:
        assert [sorted(os.listdir(layer)) for layer in layers] == [
            ["base", "top"],
            ["base"],
        ]
    assert list(ImageStore.open(store.path).images()) == [image]
    again = store.add(saved)
    assert again == image


def test_a_layer_is_unpacked_once(
    store: ImageStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unpacked = []
    unpack = image_store.unpack_layer

    def counted(*arguments: object) -> int:
        unpacked.append(arguments[2])
        return unpack(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(image_store, "unpack_layer", counted)
    store.add(docker_archive(tmp_path / "a.tar", BASE, BASE, tags=["a:1"]))
    store.add(docker_archive(tmp_path / "b.tar", BASE, TOP, tags=["b:1"]))
    assert unpacked == [f"layer {digest(layer)[:19]}" for layer in (BASE, TOP)]
    store.remove("a:1")
    assert len(os.listdir(store.path / "layers")) == 2
    store.remove("b:1")
    assert files(store) == ["index.json"]


def test_names_come_from_the_archive_or_the_caller(
    store: ImageStore, tmp_path: Path
) -> None:
    layout = OciLayout(tmp_path / "python.oci")
    layout.index(layout.image(BASE, descriptor=named("latest")))
    assert store.add(layout.path).names == ("python:latest",)
    layout.index(layout.image(BASE))
    assert store.add(layout.path, "other").names == ("python:latest", "other:latest")
    assert store.find("other").name == "python:latest"
    with pytest.raises(ImageError, match="invalid name"):
        store.add(layout.path, "not a name")
    changed = store.add(docker_archive(tmp_path / "a.tar", TOP), "other")
    assert changed.names == ("other:latest",)
    assert store.find("python").names == ("python:latest",)


def test_what_is_meant_is_obtained(
    store: ImageStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = store.obtain(docker_archive(tmp_path / "a.tar", BASE))
    assert store.obtain("demo:1") == image
    layout = OciLayout(tmp_path / "oci")
    layout.index(layout.image(BASE, descriptor=named("tag")))
    assert store.obtain(str(layout.path)).id == image.id
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(ImageError, match=r"image 'none:latest': .*package skopeo"):
        store.obtain("none")
    with pytest.raises(ImageError, match="image none.tar: No such file"):
        store.obtain("./none.tar")
    with pytest.raises(ImageError, match="no saved image: neither oci-layout nor"):
        store.obtain(tmp_path)
    monkeypatch.chdir(tmp_path)
    Path("demo:1").write_text("no image")
    assert store.obtain("demo:1").id == image.id
    with pytest.raises(ImageError, match="image 'demo:1': after the start"):
        store.obtain(Path("demo:1"))


def test_a_disk_has_all_layers_and_is_made_once(
    store: ImageStore, tmp_path: Path
) -> None:
    image = store.add(docker_archive(tmp_path / "a.tar", BASE, TOP))
    with store.used_as_disk(image) as disk:
        first = disk.stat()
        assert b"top" in disk.read_bytes()
    with store.used_as_disk(image) as disk:
        assert os.path.samestat(disk.stat(), first)
    store.remove(image.id)
    assert not disk.exists()


def test_another_user_than_root_has_disks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    require_root()
    with tempfile.TemporaryDirectory() as directory:
        os.chmod(directory, 0o777)
        saved = docker_archive(Path(directory, "a.tar"), BASE, TOP)
        command = [sys.executable, "-c", AS_USER, directory]
        done = subprocess.run(
            command,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            capture_output=True,
            text=True,
        )
        assert done.stdout == "demo:1\nimage 'demo:1': its layers need root\n", done
        (disk,) = Path(directory, "store/disks").iterdir()
        ours = ImageStore.open(tmp_path / "store")
        with ours.used_as_disk(ours.add(saved)) as same:
            assert same.stat().st_size == disk.stat().st_size


AS_USER = """
import os, sys
from pathlib import Path
from kata_host.image.image_store import ImageStore
from kata_host.image.errors import ImageError
os.setgid(65534)
os.setuid(65534)
store = ImageStore.open(Path(sys.argv[1], "store"))
image = store.add(Path(sys.argv[1], "a.tar"))
print(image.name)
with store.used_as_disk(image) as disk:
    assert disk.exists()
try:
    with store.used(image):
        pass
except ImageError as error:
    print(error)
"""


def test_a_hostile_image_leaves_nothing(store: ImageStore, tmp_path: Path) -> None:
    hostile = tar_of(entry("ok"), device("etc/sda"))
    with pytest.raises(ImageError, match="^layer .*: entry 'etc/sda': a device node"):
        store.add(docker_archive(tmp_path / "a.tar", BASE, hostile))
    assert files(store) == []
    with pytest.raises(ImageNotFound):
        store.find("demo:1")


def test_an_image_in_use_stays(store: ImageStore, tmp_path: Path) -> None:
    image = store.add(docker_archive(tmp_path / "a.tar", BASE))
    with store.used(image) as layers:
        with pytest.raises(ImageError, match="image 'demo:1': in use by a container"):
            store.remove("demo:1")
        assert store.find("demo:1") == image
        # Its name goes to another image, and its layers stay for the container.
        store.add(docker_archive(tmp_path / "b.tar", TOP))
        ImageStore.open(store.path)
        assert (layers[0] / "base").exists()
    ImageStore.open(store.path)
    assert not layers[0].exists()
    with pytest.raises(ImageNotFound, match="removed"), store.used(image):
        pass


def test_several_may_add_at_once(store: ImageStore, tmp_path: Path) -> None:
    saved = [
        docker_archive(
            tmp_path / f"{n}.tar", BASE, tar_of(entry(f"f{n}")), tags=[f"a:{n}"]
        )
        for n in range(6)
    ]
    adding = [
        threading.Thread(target=ImageStore.open(store.path).add, args=(path,))
        for path in saved
    ]
    for thread in adding:
        thread.start()
    for thread in adding:
        thread.join()
    assert [image.name for image in store.images()] == [f"a:{n}" for n in range(6)]
    assert len(os.listdir(store.path / "layers")) == 7


def test_an_image_whose_name_is_taken_at_once_has_been_added(
    store: ImageStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved = [
        docker_archive(tmp_path / "a.tar", BASE),
        docker_archive(tmp_path / "b.tar", TOP),
    ]
    write = image_store.write_index

    def taken(*arguments: Any) -> None:
        write(*arguments)
        monkeypatch.undo()
        other = StoreIndex()
        other.put(digest(b"other"), "demo:1", 0)
        write(other, *arguments[1:])

    monkeypatch.setattr(image_store, "write_index", taken)
    assert store.add(saved[0]).names == ("demo:1",)


def test_images_are_listed_while_one_goes(
    store: ImageStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.add(docker_archive(tmp_path / "a.tar", BASE, tags=["a:1"]))
    kept = store.add(docker_archive(tmp_path / "b.tar", TOP, tags=["b:1"]))
    read = image_store.read_index

    def removed(path: Path) -> StoreIndex:
        index = read(path)
        monkeypatch.undo()
        store.remove("a:1")
        return index

    monkeypatch.setattr(image_store, "read_index", removed)
    assert store.images() == [kept]
    # One that is lost is told of.
    (store.path / "images" / f"{kept.id.removeprefix('sha256:')}.json").unlink()
    with pytest.raises(ImageError, match="No such file"):
        store.images()


def test_a_disk_has_a_layer_once(
    store: ImageStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An image may name one of a few bytes, which are large unpacked, 500 times."""
    whole = (TOP, BASE, TOP, BASE)
    with store.used_as_disk(store.add(docker_archive(tmp_path / "a.tar", *whole))) as a:
        size = a.stat().st_size
        assert a.read_bytes().count(b"base" * 1000) == 1
    # As for another user than root.
    monkeypatch.setattr(ImageStore, "_add_layers", ImageStore._add_disk)
    users = ImageStore.open(tmp_path / "user")
    with users.used_as_disk(users.add(tmp_path / "a.tar")) as b:
        assert b.read_bytes().count(b"base" * 1000) == 1
        assert b.stat().st_size == size


KILLED = """
import os, signal, sys
from pathlib import Path
from kata_host.image.image_store import ImageStore
left = int(sys.argv[3])
def count(event, arguments):
    global left
    if event in ("os.rename", "os.mkdir", "os.remove", "os.rmdir", "open", "os.link"):
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
store = ImageStore.open(Path(sys.argv[1]))
sys.addaudithook(count)
if sys.argv[2] == "rm":
    store.remove("demo:1")
else:
    store.add(Path(sys.argv[2]))
"""


def kill_points() -> Iterator[int]:
    yield from range(3, 60, 8)


@pytest.mark.slow
@pytest.mark.parametrize("verb", ["add", "rm"])
def test_a_kill_at_any_moment_leaves_nothing(
    store: ImageStore, tmp_path: Path, verb: str
) -> None:
    """After each, the next command finds a whole store: with the image or without."""
    saved = docker_archive(tmp_path / "a.tar", BASE, TOP)
    reached = set()
    for point in kill_points():
        if verb == "rm":
            store.add(saved)
        word = str(saved) if verb == "add" else "rm"
        command = [sys.executable, "-c", KILLED, store.path, word, str(point)]
        done = subprocess.run(command, env={**os.environ, "PYTHONPATH": str(SOURCES)})
        reached.add(done.returncode)
        images = ImageStore.open(store.path).images()
        if not images:
            assert files(store) in ([], ["index.json"])
            assert not os.listdir(store.path / "layers")
        for image in images:
            with store.used(image) as layers:
                assert [(layer / "base").lstat().st_size for layer in layers] == [
                    0,
                    4000,
                ]
            store.remove("demo:1")
        assert not [name for name in os.listdir(store.path) if "kata-image" in name]
    assert reached == {0, -9}
