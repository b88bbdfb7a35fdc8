# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import asyncio
import os
import stat
import subprocess
import tracemalloc
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from kata_host.client import AgentClient
from kata_host.client.upload import SHARED
from kata_host.errors import FileError, NotFound
from kata_host.image.errors import ImageError
from kata_host.image.image_store import ImageStore
from kata_host.image.store_directory import VARIABLE
from kata_host.sdk.roots import OWN, Root, Roots
from tests.helpers.fake_agent import FakeAgent
from tests.helpers.namespace import require_root
from tests.helpers.saved_images import OciLayout, entry, named, tar_of
from tests.helpers.talking_tar import path_with_talking_tar


@pytest.fixture(autouse=True)
def _scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "scratch").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "scratch"))
    monkeypatch.setenv(VARIABLE, str(tmp_path / "store"))


@pytest.fixture
async def client(address: str) -> AsyncIterator[AgentClient]:
    async with AgentClient.connect(address) as client:
        yield client


@pytest.fixture
def image(tmp_path: Path) -> Path:
    (tmp_path / "image").mkdir()
    (tmp_path / "image" / "file").write_text("content")
    return tmp_path / "image"


@pytest.fixture
def archive(tmp_path: Path, image: Path) -> Path:
    path = tmp_path / "image.tar"
    subprocess.run(["tar", "-cf", path, "-C", image, "file"], check=True)
    return path


async def test_the_default_is_the_guests_own_root(client: AgentClient) -> None:
    assert await Roots(client, sees_host=False).find(None) == OWN


async def test_a_guest_that_sees_the_host_uses_a_directory_where_it_is(
    client: AgentClient, image: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(image.parent)
    roots = Roots(client, sees_host=True)
    for name in (image, "image", str(image)):
        assert await roots.find(name) == Root((str(image),))
    await roots.close()
    assert (image / "file").exists()


async def test_an_archive_is_unpacked_once_and_removed_at_the_end(
    client: AgentClient, archive: Path, tmp_path: Path
) -> None:
    roots = Roots(client, sees_host=True)
    roots_found = await asyncio.gather(*(roots.find(archive) for _ in range(3)))
    found = {root.layers[0] for root in roots_found}
    root = Path(found.pop())
    assert not found
    assert (root / "file").read_text() == "content"
    assert stat.S_IMODE(root.stat().st_mode) == 0o755
    await roots.close()
    assert not list((tmp_path / "scratch").iterdir())


async def test_an_archive_that_has_changed_is_another_image(
    client: AgentClient, archive: Path
) -> None:
    roots = Roots(client, sees_host=True)
    first = await roots.find(archive)
    os.utime(archive, ns=(1, 1))
    assert await roots.find(archive) != first
    await roots.close()


@pytest.mark.parametrize("sees_host", [False, True])
async def test_files_that_the_guest_does_not_see_are_copied(
    client: AgentClient, agent: FakeAgent, image: Path, sees_host: bool
) -> None:
    """overlayfs would split the second name."""
    image = image.rename(image.with_name("a:b" if sees_host else "image"))
    roots = Roots(client, sees_host=sees_host)
    (target,) = (await roots.find(image)).layers
    assert target.startswith(f"{SHARED}/rootfs-")
    assert [request.path for request in agent.requests] == [target, f"{target}/file"]
    await roots.close()


@pytest.mark.parametrize("name", ["none", "none/deep"])
async def test_a_missing_image_is_not_found(
    client: AgentClient, image: Path, name: str
) -> None:
    with pytest.raises(NotFound, match=f"image '.*{name}': no such"):
        await Roots(client, sees_host=True).find(image / name)


def saved_image(path: Path, kind: str) -> Path:
    """Return an image of two layers, as skopeo saves one."""
    path.mkdir()
    layout = OciLayout(path / "layout")
    layers = [tar_of(entry("one", b"1")), tar_of(entry("two", b"2"))]
    values = {"Env": ["A=1"], "User": "7", "WorkingDir": "/srv"}
    made = layout.index(layout.image(*layers, **values, descriptor=named("i:1")))
    return layout.archive(path / "image.tar") if kind == "archive" else made


@pytest.mark.root
@pytest.mark.parametrize("kind", ["archive", "directory", "name"])
async def test_a_saved_image_has_layers_and_says_how_processes_run(
    client: AgentClient, tmp_path: Path, kind: str
) -> None:
    require_root()
    saved = saved_image(tmp_path / "saved", kind)
    if kind == "name":
        ImageStore.open().add(saved)
    roots = Roots(client, sees_host=True)
    root = await roots.find("i:1" if kind == "name" else saved)
    files = [sorted(it.name for it in Path(layer).iterdir()) for layer in root.layers]
    assert files == [["two"], ["one"]]
    assert (root.env, root.cwd, root.user) == ({"A": "1"}, "/srv", "7")
    await roots.close()


async def test_a_guest_that_cannot_have_layers_says_so(
    client: AgentClient, tmp_path: Path
) -> None:
    roots = Roots(client, sees_host=False)
    with pytest.raises(ImageError, match="a VM of this host take layers"):
        await roots.find(saved_image(tmp_path / "saved", "archive"))
    await roots.close()


async def test_what_is_no_archive_is_an_error_each_time(
    client: AgentClient, image: Path
) -> None:
    roots = Roots(client, sees_host=True)
    for _ in range(2):
        with pytest.raises(FileError, match="image '.*file': tar: "):
            await roots.find(image / "file")
    await roots.close()


async def test_what_tar_says_is_bounded(
    agent: FakeAgent,
    client: AgentClient,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """GNU tar has a line for each entry that it cannot make."""
    monkeypatch.setenv("PATH", path_with_talking_tar(tmp_path / "bin"))
    (tmp_path / "archive").touch()
    roots = Roots(client, sees_host=True)
    tracemalloc.start()
    try:
        with pytest.raises(FileError, match=r"^image '.*/archive': first$"):
            await roots.find(tmp_path / "archive")
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()
        await roots.close()
