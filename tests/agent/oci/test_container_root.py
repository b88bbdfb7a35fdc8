# SPDX-License-Identifier: Apache-2.0
"""Files that an image, a volume or a process of the container may have replaced."""

from __future__ import annotations

import fcntl
import os
import signal
from pathlib import Path

import pytest

from kata_agent.errors import InvalidArgument, InvalidState
from kata_agent.oci.container_root import FILE_LIMIT, ContainerRoot
from kata_agent.oci.spec import Spec

PASSWD = "/etc/passwd"


@pytest.fixture
def image(tmp_path: Path) -> Path:
    (tmp_path / "image/etc").mkdir(parents=True)
    (tmp_path / "image/etc/passwd").write_text("image")
    return tmp_path / "image"


def bind(destination: str, source: Path) -> Spec:
    return {"destination": destination, "source": str(source), "type": "bind"}


def read(image: Path, *mounts: Spec) -> str:
    return ContainerRoot(str(image), mounts).read(PASSWD).decode()


def test_the_file_of_the_image(image: Path) -> None:
    assert read(image) == "image"
    (image / "etc/passwd").unlink()
    assert read(image) == ""
    with pytest.raises(InvalidState, match="gone"):
        read(image / "nowhere")


def test_a_mount_hides_the_image(image: Path, tmp_path: Path) -> None:
    """CRI-O mounts a file of its own: cri-o#2022."""
    volume = tmp_path / "volume"
    volume.mkdir()
    (volume / "passwd").write_text("volume")
    file = tmp_path / "file"
    file.write_text("file")
    over_file, over_etc = bind("/etc/passwd", file), bind("etc/", volume)
    assert read(image, over_file) == "file"
    assert read(image, over_etc) == "volume"
    # The later one is on top.
    assert read(image, over_etc, over_file) == "file"
    assert read(image, over_file, over_etc) == "volume"
    assert read(image, {**over_file, "type": "none", "options": ["rbind"]}) == "file"
    assert read(image, bind("/etc/passwd-", file), bind("/et", volume)) == "image"
    assert read(image, {"destination": "/etc", "type": "tmpfs", "source": "t"}) == ""
    assert read(image, {"destination": "/etc", "type": "tmpfs"}) == ""
    assert read(image, bind("/etc/passwd", tmp_path / "missing")) == ""


@pytest.mark.parametrize("target", ["/etc/secret", "../../../../../../../etc/secret"])
def test_links_lead_to_files_of_the_container(
    image: Path, tmp_path: Path, target: str
) -> None:
    (image / "etc/passwd").unlink()
    (image / "etc/passwd").symlink_to(target)
    assert read(image) == ""
    (image / "etc/secret").write_text("own")
    assert read(image) == "own"


def test_a_link_does_not_lead_out_of_a_volume(image: Path, tmp_path: Path) -> None:
    volume = tmp_path / "volume"
    volume.mkdir()
    (volume / "passwd").symlink_to("..data")
    (volume / "..data").write_text("ConfigMap")
    assert read(image, bind("/etc", volume)) == "ConfigMap"
    for target in ("../secret", "/etc/hostname"):
        (tmp_path / "secret").write_text("secret")
        (volume / "passwd").unlink()
        (volume / "passwd").symlink_to(target)
        with pytest.raises(InvalidArgument, match="'/etc/passwd': not read"):
            read(image, bind("/etc", volume))


def test_magic_links_are_refused(image: Path) -> None:
    (image / "etc/passwd").unlink()
    (image / "proc").symlink_to("etc")
    (image / "etc/passwd").symlink_to("passwd")
    with pytest.raises(InvalidArgument, match="'/etc/passwd': not read"):
        read(image)
    with pytest.raises(InvalidArgument, match="'/self/root/etc': not read"):
        ContainerRoot("/proc").read("/self/root/etc")


def test_a_file_of_another_kind_is_not_opened(image: Path) -> None:
    (image / "etc/passwd").unlink()
    os.mkfifo(image / "etc/passwd")
    with pytest.raises(InvalidArgument, match="'/etc/passwd': not a regular file"):
        read(image)
    (image / "etc/passwd").unlink()
    (image / "etc/passwd").mkdir()
    with pytest.raises(InvalidArgument, match="'/etc/passwd': not a regular file"):
        read(image)


def test_a_huge_file_is_read_up_to_a_whole_line(image: Path) -> None:
    line = "eve:x:1000:100:::\n"
    (image / "etc/passwd").write_text(line * (FILE_LIMIT // len(line) + 5))
    found = read(image)
    assert found == line * (FILE_LIMIT // len(line))
    os.truncate(image / "etc/passwd", 1 << 40)
    assert len(read(image)) == len(found)
    (image / "etc/passwd").write_text("no line")
    os.truncate(image / "etc/passwd", 1 << 40)
    assert read(image) == ""


def test_files_of_procfs_are_empty_because_some_of_them_block() -> None:
    assert ContainerRoot("/proc").read("/kmsg") == b""


def test_a_lease_of_the_container_does_not_make_the_agent_wait(image: Path) -> None:
    held = os.open(image / "etc/passwd", os.O_RDWR)
    try:
        # The kernel asks the holder by this signal to give the lease back.
        fcntl.fcntl(held, fcntl.F_SETSIG, signal.SIGURG)
        fcntl.fcntl(held, fcntl.F_SETLEASE, fcntl.F_WRLCK)
        with pytest.raises(InvalidArgument, match="'/etc/passwd': not read"):
            read(image)
    finally:
        os.close(held)
