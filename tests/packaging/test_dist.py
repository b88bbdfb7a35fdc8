# SPDX-License-Identifier: Apache-2.0
"""`make dist` builds the same bytes each time, complete, with types."""

from __future__ import annotations

import subprocess
import sys
import tarfile
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest

from kata_agent.version import VERSION
from tests.packaging.conftest import ROOT, build, new_environment

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

PACKAGES = ("kata_agent", "kata_host", "kata_protos", "kata_tracing")


def names_in(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def wheel_of(dist: list[Path], name: str) -> Path:
    (wheel,) = [file for file in dist if file.match(f"{name}-*.whl")]
    return wheel


def sdist_of(dist: list[Path], name: str) -> Path:
    (archive,) = [file for file in dist if file.match(f"{name}-*.tar.gz")]
    return archive


def test_each_distribution_has_a_wheel_and_a_source_archive(dist: list[Path]) -> None:
    names = [file.name.partition("-")[0] for file in dist]
    assert names == ["kata_agent", "kata_agent", "ttrpc", "ttrpc"]


def test_a_second_build_gives_the_same_bytes(dist: list[Path], tmp_path: Path) -> None:
    again = build(tmp_path / "again")
    assert [file.name for file in again] == [file.name for file in dist]
    for first, second in zip(dist, again, strict=True):
        assert first.read_bytes() == second.read_bytes(), first.name


@pytest.mark.parametrize("name", ["kata_agent", "ttrpc"])
def test_a_source_archive_builds_the_same_wheel(
    dist: list[Path], tmp_path: Path, name: str
) -> None:
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    command = [*pip, "wheel", "--no-deps", "--wheel-dir", tmp_path]
    subprocess.run([*command, sdist_of(dist, name)], check=True, cwd=tmp_path)
    (wheel,) = tmp_path.glob("*.whl")
    assert wheel.read_bytes() == wheel_of(dist, name).read_bytes()


def test_a_clone_is_installed_by_one_command(tmp_path: Path) -> None:
    environment = new_environment(tmp_path / "venv")
    environment.install(ROOT / "ttrpc", ROOT)
    done = subprocess.run(
        [environment.program("kata-agent"), "--version"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.startswith("kata-agent ")


def test_the_wheels_hold_every_module_and_the_marker_of_types(dist: list[Path]) -> None:
    names = names_in(wheel_of(dist, "kata_agent")) | names_in(wheel_of(dist, "ttrpc"))
    for package in (*PACKAGES, "ttrpc"):
        assert f"{package}/py.typed" in names
        folder = ROOT / "src" / package
        for path in folder.rglob("*"):
            if path.suffix in (".py", ".html", ".css", ".js"):
                assert f"{package}/{path.relative_to(folder)}" in names
    assert not [name for name in names if "__pycache__" in name]


def test_the_data_files_of_the_programs_are_in_the_wheel(dist: list[Path]) -> None:
    names = names_in(wheel_of(dist, "kata_agent"))
    assert "kata_host/guest/image/requirements.txt" in names
    assert "kata_host/guest/packaging/launcher.c" in names
    assert "kata_host/guest/packaging/kata-agent.service" in names


def test_completion_and_manual_pages_are_in_the_wheel(dist: list[Path]) -> None:
    names = names_in(wheel_of(dist, "kata_agent"))
    share = f"kata_agent-{VERSION}.data/data/share"
    for program in ("kata-agent-ctl", "kata-trace-forwarder"):
        for path in (
            f"bash-completion/completions/{program}",
            f"zsh/site-functions/_{program}",
            f"fish/vendor_completions.d/{program}.fish",
            f"man/man1/{program}.1",
        ):
            assert f"{share}/{path}" in names


def test_the_licence_is_in_every_file(dist: list[Path]) -> None:
    for file in dist:
        if file.suffix == ".whl":
            assert [name for name in names_in(file) if name.endswith("/LICENSE")]
        else:
            with tarfile.open(file) as archive:
                assert [n for n in archive.getnames() if n.endswith("/LICENSE")]


@pytest.mark.parametrize("name", ["kata_agent", "ttrpc"])
def test_the_metadata_names_version_authors_and_licence(
    dist: list[Path], name: str
) -> None:
    wheel = wheel_of(dist, name)
    (file,) = [each for each in names_in(wheel) if each.endswith("/METADATA")]
    with zipfile.ZipFile(wheel) as archive:
        metadata = Parser().parsestr(archive.read(file).decode())
    assert metadata["Author"] == "kata-agent developers"
    assert metadata["License-Expression"] == "Apache-2.0"
    assert metadata["Version"] == wheel.name.split("-")[1]
    assert metadata["Requires-Python"] == ">=3.11"
    assert "Typing :: Typed" in metadata.get_all("Classifier", [])
