# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from kata_host.guest.image import tree
from tests.helpers.namespace import require_root


def make_package(directory: Path, name: str, files: dict[str, str]) -> Path:
    """Build a Debian package."""
    root = directory / name
    (root / "DEBIAN").mkdir(parents=True)
    (root / "DEBIAN/control").write_text(
        f"Package: {name}\nVersion: 1\nArchitecture: all\n"
        "Maintainer: nobody <nobody@example.org>\nDescription: a test\n"
    )
    for path, content in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(content)
    package = directory / f"{name}_1_all.deb"
    subprocess.run(
        ["dpkg-deb", "--root-owner-group", "--build", root, package],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    return package


def test_files_for_bin_go_through_the_link_into_usr(tmp_path: Path) -> None:
    package = make_package(tmp_path, "old", {"bin/ls": "ls", "usr/bin/cat": "cat"})
    target = tmp_path / "tree"
    tree.unpack([package], target, lambda done: None)
    assert (target / "usr/bin/ls").read_text() == "ls"
    assert (target / "usr/bin/cat").read_text() == "cat"
    assert os.readlink(target / "bin") == "usr/bin"


def test_documentation_is_left_out(tmp_path: Path) -> None:
    files = {"usr/share/doc/x/README": "", "usr/share/man/man1/x.1": "", "etc/x": ""}
    target = tmp_path / "tree"
    tree.unpack_package(make_package(tmp_path, "some", files), target)
    assert (target / "etc/x").exists()
    assert not (target / "usr/share/doc").exists()
    assert not (target / "usr/share/man").exists()


def test_progress_is_told_after_each_package(tmp_path: Path) -> None:
    packages = [make_package(tmp_path, name, {"etc/" + name: ""}) for name in "ab"]
    told: list[int] = []
    tree.unpack(packages, tmp_path / "tree", told.append)
    assert told == [1, 2]


def test_a_file_that_is_no_package_is_an_error(tmp_path: Path) -> None:
    package = tmp_path / "broken.deb"
    package.write_text("no package")
    with pytest.raises((OSError, subprocess.CalledProcessError)):
        tree.unpack_package(package, tmp_path / "tree")


@pytest.mark.parametrize(
    ("name", "needed"),
    [
        ("python3_3.13_amd64.deb", True),
        ("dpkg_1.22_amd64.deb", False),
        ("gcc-14-base_14_amd64.deb", False),
        ("openssl_3.5_amd64.deb", False),
    ],
)
def test_packages_that_only_maintainer_scripts_need_are_left_out(
    name: str, needed: bool
) -> None:
    assert tree.is_needed(Path(name)) is needed


@pytest.mark.root
def test_a_finished_tree_has_what_maintainer_scripts_would_have_made(
    tmp_path: Path,
) -> None:
    require_root()
    target = tmp_path / "tree"
    tree.unpack([], target, lambda done: None)
    busybox = shutil.which("busybox")
    assert busybox is not None, "needs busybox-static"
    shutil.copy(busybox, target / "usr/bin/busybox")
    (target / "usr/sbin/iptables-nft").symlink_to("xtables-nft-multi")
    (target / "usr/lib/python3.13/test").mkdir(parents=True)
    (target / "usr/bin/cat").write_text("not busybox's")
    tree.finish(target, "3.13")
    assert (target / "etc/hosts").read_text().startswith("127.0.0.1 localhost\n")
    assert os.readlink(target / "usr/bin/python3") == "python3.13"
    assert os.readlink(target / "usr/sbin/iptables") == "iptables-nft"
    assert os.readlink(target / "usr/bin/sh") == "busybox"
    assert (target / "usr/bin/cat").read_text() == "not busybox's"
    assert not (target / "usr/lib/python3.13/test").exists()
    assert (target / "etc/ld.so.cache").exists()
    assert (target / "run").is_dir()


def test_a_tree_without_an_interpreter_compiles_nothing(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        tree.compile_python(tmp_path, "3.13", {tmp_path: (2,)})
