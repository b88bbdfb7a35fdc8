# SPDX-License-Identifier: Apache-2.0
"""The tarball for Kata's image builders, unpacked into an empty directory."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from kata_host.guest import tarball
from kata_host.guest.image import build
from kata_host.guest.image.progress import Progress
from tests.helpers.namespace import require_root
from tests.helpers.vm import require_image

pytestmark = [pytest.mark.vm, pytest.mark.slow, pytest.mark.root]


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tree with nothing but the tarball, after osbuilder has stripped the program."""
    require_root()
    require_image()
    directory = tmp_path_factory.mktemp("tarball")
    file = directory / "kata-agent.tar.zst"
    tarball.make(build.ensure_current(Progress()), file)
    tree = directory / "tree"
    tree.mkdir()
    subprocess.run(["tar", "-x", "-f", file, "-C", tree], check=True)
    subprocess.run(["strip", tree / "usr/bin/kata-agent"], check=True)
    for name in ("proc", "dev", "run"):
        (tree / name).mkdir()
    return tree


def inside(tree: Path, *command: str) -> str:
    """Return the output of a command that runs in the tree with /proc and /dev."""
    done = run_inside(tree, *command)
    assert (done.stderr, done.returncode) == ("", 0)
    return done.stdout


def run_inside(tree: Path, *command: str) -> subprocess.CompletedProcess[str]:
    script = 'mount -t proc proc "$0/proc"; mount --rbind /dev "$0/dev"; '
    return subprocess.run(
        [
            *("unshare", "--mount", "--pid", "--fork", "sh", "-euc"),
            script + 'exec chroot "$0" "$@"',
            *(tree, *command),
        ],
        capture_output=True,
        text=True,
        env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"},
    )


def test_the_agent_runs_in_a_bare_tree(bare: Path) -> None:
    assert inside(bare, "/usr/bin/kata-agent", "--version").startswith("kata-agent ")
    assert "--listen" in inside(bare, "/usr/bin/kata-agent", "--help", "more")


def test_its_programs_run_in_a_bare_tree(bare: Path) -> None:
    own = "/usr/lib/kata-agent/bin"
    assert inside(bare, f"{own}/crun", "--version").startswith("crun version")
    assert inside(bare, f"{own}/ip", "-V").startswith("ip utility")
    script = (
        "import sys; sys.path.append('/usr/lib/kata-agent/packages');"
        "import google._upb._message, ctypes, asyncio; ctypes.CDLL('libudev.so.1');"
        "print(sys.prefix)"
    )
    ran = inside(bare, f"{own}/python3", "-ISOO", "-c", script)
    assert ran == "/usr/lib/kata-agent\n"


def test_arguments_reach_the_agent(bare: Path) -> None:
    done = run_inside(bare, "/usr/bin/kata-agent", "--config=/no/such/file")
    assert done.returncode == 2
    assert "/no/such/file" in done.stderr


def test_systemd_accepts_the_units(bare: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        if os.environ.get("CI"):
            pytest.fail("needs systemd-analyze")
        pytest.skip("needs systemd-analyze")
    # An image that can run systemd has these files.
    for name in ("bin/sync", "usr/bin/systemctl"):
        program = bare / name
        program.parent.mkdir(exist_ok=True)
        program.touch(0o755)
    for unit in ("basic.target", "sysinit.target", "shutdown.target"):
        (bare / "usr/lib/systemd/system" / unit).write_text("[Unit]\n")
    (bare / "usr/lib/systemd/system/tmp.mount").write_text(
        "[Mount]\nWhat=tmpfs\nWhere=/tmp\nType=tmpfs\n"
    )
    done = subprocess.run(
        [
            *("systemd-analyze", "verify", "--man=no", f"--root={bare}"),
            *(bare / "usr/lib/systemd/system" / name for name in tarball.UNITS),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout, done.stderr, done.returncode) == ("", "", 0)
