# SPDX-License-Identifier: Apache-2.0
"""`make deb`: Debian's own tools install it, and its programs run without wheels."""

from __future__ import annotations

import filecmp
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from kata_agent.version import VERSION
from tests.helpers.namespace import require_root
from tests.helpers.shells import require_programs
from tests.helpers.source_tree import ROOT
from tests.packaging.conftest import imported

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

INSTALL: Final = """
set -eu
mount -t tmpfs none "$1"
mkdir "$1/up" "$1/work" "$1/root"
mount -t overlay none -o "lowerdir=/,upperdir=$1/up,workdir=$1/work" "$1/root"
mount --bind /proc "$1/root/proc"
cp "$2" "$1/root/tmp/host.deb"
exec chroot "$1/root" sh -euc '
    dpkg --install /tmp/host.deb >&2
    kata-agent-ctl --version
    kata-trace-forwarder --version
    test -d /usr/lib/kata-agent-ctl/kata_host/__pycache__
    dpkg --remove kata-agent-ctl >&2
    ! test -e /usr/lib/kata-agent-ctl
'
"""
"""Installs a package on top of this host's files, which stay as they are."""


def make_deb(dist: list[Path], folder: Path) -> Path:
    """Build the package from the wheels."""
    folder.mkdir()
    for file in dist:
        if file.suffix == ".whl":
            shutil.copy(file, folder)
    command = [ROOT / "packaging/make-deb", folder, sys.executable]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return Path(done.stdout.strip())


@pytest.fixture(scope="module")
def deb(dist: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    require_programs("dpkg-deb")
    return make_deb(dist, tmp_path_factory.mktemp("deb") / "dist")


@pytest.fixture
def unpacked(deb: Path, tmp_path: Path) -> Path:
    """The folder `usr` of the package."""
    subprocess.run(["dpkg-deb", "--extract", deb, tmp_path / "tree"], check=True)
    return tmp_path / "tree/usr"


def field(deb: Path, name: str) -> str:
    done = subprocess.run(
        ["dpkg-deb", "--field", deb, name], check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


def test_a_second_build_gives_the_same_bytes(
    deb: Path, dist: list[Path], tmp_path: Path
) -> None:
    again = make_deb(dist, tmp_path / "again")
    # Not the bytes: pytest would compare them line by line.
    assert filecmp.cmp(again, deb, shallow=False), (again, deb)
    assert field(deb, "Version") == VERSION


def test_it_names_every_package_that_an_error_names(deb: Path) -> None:
    named = set()
    for path in (ROOT / "host").rglob("*.py"):
        text = path.read_text()
        named.update(re.findall(r"\(package ([a-z0-9-]+)\)", text))
        for arguments in re.findall(r"\bmissing\(([^)]*)\)", text):
            named.update(re.findall('"([a-z]+)"', arguments))
    named.discard("busybox")  # The program; its package is named as well.
    assert {"crun", "skopeo", "busybox-static"} <= named
    fields = ("Depends", "Recommends", "Suggests")
    words = " ".join(field(deb, each) for each in fields)
    have = set(re.findall(r"[a-z0-9][a-z0-9+.-]+", words))
    assert named <= have
    assert "qemu-system-x86" in have


def test_lintian_finds_nothing(deb: Path) -> None:
    require_programs("lintian")
    done = subprocess.run(
        ["lintian", "--allow-root", "--fail-on=warning", deb],
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.root
def test_dpkg_installs_it_and_removes_it(deb: Path, tmp_path: Path) -> None:
    require_root()
    mount = tmp_path / "mount"
    mount.mkdir()
    command = ["unshare", "--mount", "--propagation=private", "sh", "-c", INSTALL]
    done = subprocess.run([*command, "sh", mount, deb], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        f"kata-agent-ctl {VERSION}",
        f"kata-trace-forwarder {VERSION}",
    ]


@pytest.mark.root
def test_its_program_runs_a_container(unpacked: Path, users_folder: Path) -> None:
    """In a folder of modules that shadow ours, with Debian's own interpreter."""
    require_root()
    done = subprocess.run(
        [unpacked / "bin/kata-agent-ctl", "run", "--local", "--", "echo", "hi"],
        cwd=users_folder,
        env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": os.environ["HOME"]},
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout) == (0, "hi\n"), done.stderr
    assert not imported(users_folder)


def test_completion_and_pages_are_where_debian_looks(unpacked: Path) -> None:
    share = unpacked / "share"
    for path in (
        "bash-completion/completions/kata-agent-ctl",
        "zsh/vendor-completions/_kata-agent-ctl",
        "fish/vendor_completions.d/kata-agent-ctl.fish",
        "man/man1/kata-agent-ctl-run.1.gz",
        "man/man1/kata-trace-forwarder.1.gz",
    ):
        assert (share / path).stat().st_size
