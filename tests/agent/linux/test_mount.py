# SPDX-License-Identifier: Apache-2.0
"""mount(2) and umount2(2), and the limit of their options."""

from __future__ import annotations

from pathlib import Path

import pytest

from kata_agent.linux.mount import DATA_LIMIT, MS_RDONLY, mount, unmount
from tests.helpers.namespace import World, in_namespaces


@in_namespaces("v2")
async def test_a_file_system_is_mounted_and_unmounted(
    world: World, tmp_path: Path
) -> None:
    mount("tmpfs", tmp_path, "tmpfs", MS_RDONLY, "size=64k")
    with pytest.raises(OSError, match="Read-only file system"):
        (tmp_path / "file").touch()
    unmount(tmp_path)
    (tmp_path / "file").touch()


@in_namespaces("v2")
async def test_an_unknown_type_names_the_target(world: World, tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such device") as caught:
        mount("none", tmp_path, "nonesuchfs")
    assert caught.value.filename == str(tmp_path)


def test_options_over_a_page_are_refused(tmp_path: Path) -> None:
    """The kernel would cut them and mount with the rest."""
    with pytest.raises(OSError, match="mount options exceed a page"):
        mount("tmpfs", tmp_path, "tmpfs", 0, "x" * (DATA_LIMIT + 1))
