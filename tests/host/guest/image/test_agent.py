# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from kata_host.child import PACKAGES
from kata_host.guest.image import agent


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small tree in place of our packages."""
    packages = tmp_path / "packages"
    for name in (*agent.IMPORT_NAMES, "kata_host"):
        (packages / name / "part").mkdir(parents=True)
        (packages / name / "__init__.py").write_text(f"name = {name!r}\n")
        (packages / name / "part/module.py").touch()
        (packages / name / "py.typed").touch()
    monkeypatch.setattr(agent, "PACKAGES", packages)
    return packages


def test_the_guest_gets_every_module_of_its_packages_and_none_of_the_hosts() -> None:
    names = {name for _, name in agent.files()}
    expected = {
        path.relative_to(PACKAGES).as_posix()
        for package in ("kata_agent", "kata_protos", "kata_tracing", "ttrpc")
        for path in (PACKAGES / package).rglob("*.py")
    }
    assert names == expected
    assert "kata_agent/main.py" in names


def test_a_copy_has_the_same_files(packages: Path, tmp_path: Path) -> None:
    target = tmp_path / "source"
    agent.copy_source(target)
    copied = {path.relative_to(target).as_posix() for path in target.rglob("*.py")}
    assert copied == {name for _, name in agent.files()}
    assert (target / "ttrpc/__init__.py").read_text() == "name = 'ttrpc'\n"
    assert not (target / "kata_host").exists()


def test_the_digest_changes_with_a_modules_content_and_name(packages: Path) -> None:
    before = agent.digest()
    assert agent.digest() == before
    (packages / "ttrpc/__init__.py").write_text("changed = True\n")
    changed = agent.digest()
    assert changed != before
    (packages / "ttrpc/__init__.py").rename(packages / "ttrpc/other.py")
    assert agent.digest() not in (before, changed)


def test_the_digest_is_of_the_guests_packages_alone(packages: Path) -> None:
    before = agent.digest()
    (packages / "kata_host/__init__.py").write_text("changed = True\n")
    assert agent.digest() == before


def test_the_program_is_also_the_init_of_the_guest(tmp_path: Path) -> None:
    (tmp_path / "usr/bin").mkdir(parents=True)
    (tmp_path / "usr/sbin").mkdir()
    (tmp_path / "usr/sbin/init").touch()
    agent.install_program(tmp_path)
    init = tmp_path / "usr/sbin/init"
    assert init.resolve() == tmp_path / "usr/bin/kata-agent"
    assert init.stat().st_mode & 0o777 == 0o755


def test_the_program_finds_source_and_packages_below_its_home(tmp_path: Path) -> None:
    """Its paths are the guest's; here they are moved below a directory."""
    home = tmp_path / agent.HOME
    (home / "source/kata_agent").mkdir(parents=True)
    (home / "packages").mkdir()
    (home / "packages/dependency.py").touch()
    (home / "source/kata_agent/__main__.py").write_text(
        "import dependency\ndef main():\n    print('runs')\n    return 3\n"
    )
    program = agent.PROGRAM.replace(f"/{agent.HOME}", str(home))
    done = subprocess.run(
        [sys.executable, "-ISOO", "-c", program], capture_output=True, text=True
    )
    assert (done.stdout, done.returncode) == ("runs\n", 3)
