# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from kata_host.ctl.errors import CommandError, UsageError
from kata_host.ctl.run_image import RunImage, used_image
from tests.helpers.namespace import require_root
from tests.helpers.saved_images import docker_archive, entry, tar_of

pytestmark = pytest.mark.root


@pytest.fixture(autouse=True)
def _store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    require_root()
    monkeypatch.setenv("KATA_IMAGE_STORE", str(tmp_path / "store"))


def options(**changes: object) -> argparse.Namespace:
    values: dict[str, object] = {
        "image": None,
        "rootfs": None,
        "entrypoint": None,
        "guest": None,
        "vm": False,
        "command": [],
        "env": [],
        "cwd": "",
        "user": "",
    }
    return argparse.Namespace(**{"warm": False, **values, **changes})


def saved(tmp_path: Path, **values: object) -> str:
    layers = [tar_of(entry(name)) for name in ("one", "two")]
    return str(docker_archive(tmp_path / "a,b.tar", *layers, **values))


def test_what_no_option_says_comes_from_the_image(tmp_path: Path) -> None:
    image = saved(
        tmp_path,
        Env=["A=image", "B=image"],
        User="nobody:tty",
        WorkingDir="/srv",
        Entrypoint=["/bin/app"],
        Cmd=["serve"],
    )
    given = options(image=image, env=["B=option"])
    with used_image(given) as found:
        assert found is not None
        assert [Path(layer).is_dir() for layer in found.layers] == [True, True]
    assert given.command == ["/bin/app", "serve"]
    assert given.env == ["A=image", "B=image", "B=option"]
    assert given.cwd == "/srv"
    assert given.user == "nobody:tty"
    given = options(image="demo:1", command=["--", "stop"], cwd="/", entrypoint="/sh")
    with used_image(given):
        assert given.command == ["/sh", "stop"]
        assert given.cwd == "/"


def test_a_vm_has_a_disk(tmp_path: Path) -> None:
    given = options(image=saved(tmp_path, Cmd=["sh"]), vm=True)
    with used_image(given) as found:
        assert found is not None
        assert found.disk is not None
        assert found.disk.stat().st_size > 4096
        assert f"file={found.disk}," in given.devices[1]
        (disk, layer), root = found.storages("c1")
    assert (disk.driver, disk.source, disk.fstype) == ("blk", "11", "erofs")
    assert f"lowerdir={disk.mount_point}" in layer.options
    assert layer.mount_point == root
    (plugged, _), _ = found.storages("c1", "3:4")
    assert (plugged.driver, plugged.source) == ("scsi", "3:4")
    assert plugged.mount_point == disk.mount_point


def test_a_local_guest_has_the_layers() -> None:
    (storage,), root = RunImage(Path.touch, layers=["/a", "/b"]).storages("c1")
    assert "lowerdir=/a:/b" in storage.options
    assert storage.mount_point == root


def test_what_does_not_go_together_is_refused(tmp_path: Path) -> None:
    for given, fault in [
        (options(image="a", rootfs=tmp_path), "--image: not with --rootfs"),
        (options(image=saved(tmp_path)), "names no command, so give one"),
        (options(image="demo:1", guest="none"), "--image: needs a guest of"),
    ]:
        with pytest.raises(UsageError, match=fault), used_image(given):
            pass
    empty = str(docker_archive(tmp_path / "empty.tar", Cmd=["sh"], tags=["e:1"]))
    with pytest.raises(CommandError, match="image 'e:1': no layers"):
        with used_image(options(image=empty)):
            pass


def test_a_program_needs_no_image() -> None:
    given = options(entrypoint="ls", command=["--", "-l"])
    with used_image(given) as found:
        assert found is None
    assert given.command == ["ls", "-l"]
