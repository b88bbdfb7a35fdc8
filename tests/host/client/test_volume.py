# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from kata_host.client.volume import Volume, shared_volume, tmpfs_mount


@pytest.mark.parametrize(
    ("text", "volume"),
    [
        ("/a:/b", Volume("/a", "/b")),
        ("./a:/b:rw", Volume("./a", "/b")),
        ("/a:/b:ro", Volume("/a", "/b", read_only=True)),
    ],
)
def test_a_volume_is_read(text: str, volume: Volume) -> None:
    assert Volume.parse(text) == volume


@pytest.mark.parametrize(
    "text", ["", "/a", ":/b", "/a:", "/a:b", "/a:/b:x", "a:/b:ro:"]
)
def test_no_volume(text: str) -> None:
    with pytest.raises(ValueError, match="^volume "):
        Volume.parse(text)


def test_a_mount_of_a_volume_stays_with_the_container() -> None:
    mount = Volume("/a", "/b", read_only=True).to_mount()
    assert list(mount.options) == ["rbind", "rprivate", "ro"]
    assert (mount.type, mount.source, mount.destination) == ("bind", "/a", "/b")


def test_a_volume_of_a_vm_is_mounted_by_its_tag() -> None:
    point = "/run/kata-containers/shared/volumes/v1"
    storage, volume = shared_volume(Volume("/a", "/b", read_only=True), "v1", "")
    assert volume == Volume(point, "/b", read_only=True)
    assert (storage.driver, storage.fstype) == ("virtio-fs", "virtiofs")
    assert (storage.source, storage.mount_point) == ("v1", point)
    assert list(storage.options) == ["nodev", "ro"]
    storage, volume = shared_volume(Volume("/a", "/b"), "v1", "file")
    assert volume.source == f"{point}/file"
    assert list(storage.options) == ["nodev"]


def test_a_tmpfs_has_options() -> None:
    mount = tmpfs_mount("/t:size=1m,exec")
    assert list(mount.options) == ["nosuid", "nodev", "noexec", "size=1m", "exec"]
    assert tmpfs_mount("/t").destination == "/t"
    with pytest.raises(ValueError, match="^tmpfs "):
        tmpfs_mount("t")
