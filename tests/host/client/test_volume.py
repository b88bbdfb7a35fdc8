# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from kata_host.client.volume import Volume, tmpfs_mount


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


def test_a_tmpfs_has_options() -> None:
    mount = tmpfs_mount("/t:size=1m,exec")
    assert list(mount.options) == ["nosuid", "nodev", "noexec", "size=1m", "exec"]
    assert tmpfs_mount("/t").destination == "/t"
    with pytest.raises(ValueError, match="^tmpfs "):
        tmpfs_mount("t")
