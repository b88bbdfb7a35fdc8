# SPDX-License-Identifier: Apache-2.0
"""A script in place of apt: writes its arguments to a file, prints lines of apt."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from kata_host.guest.image import apt
from kata_host.guest.image.apt import AptError, AptSuite

PLAN = """
Inst libc6 (2.41-12 Debian:13.1/stable [amd64])
Inst crun (1:1.21-1 Debian:13.1/stable [amd64])
Conf crun (1:1.21-1 Debian:13.1/stable [amd64])
"""
SHOWN = "Package: linux\nVersion: 6.1.2-1\nArchitecture: amd64\nDescription: a: b\n"
DEPENDS = "linux\n  Depends: linux-image-6.1\n  Depends: a\n  Recommends: b\n"


@pytest.fixture
def calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file with one line for each call of apt."""
    programs = tmp_path / "bin"
    programs.mkdir()
    calls = tmp_path / "calls"
    for name in ("apt-get", "apt-cache"):
        program = programs / name
        program.write_text(
            f"""#!/bin/sh
echo {name} "$@" >> {calls}
case " $* " in
    *" indextargets "*) printf "%s\\n" $SITES; exit;;
    *" --simulate "*) printf '%s' '{PLAN}';;
    *" show "*) printf '%s' '{SHOWN}';;
    *" depends "*) printf '%s' '{DEPENDS}';;
    *" broken "*) echo "E: no such package" >&2; exit 100;;
esac
"""
        )
        program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    keyring = tmp_path / "keyring.gpg"
    keyring.touch()
    monkeypatch.setattr(apt, "KEYRING", keyring)
    monkeypatch.setenv("SITES", "http://mirror/ubuntu http://mirror/debian/")
    monkeypatch.delenv("DEBIAN_MIRROR", raising=False)
    return calls


@pytest.fixture
def suite(calls: Path, tmp_path: Path) -> AptSuite:
    return AptSuite("trixie", tmp_path / "suite")


def test_packages_are_fetched_with_their_dependencies(
    suite: AptSuite, tmp_path: Path
) -> None:
    archives = tmp_path / "suite/archives"
    assert suite.fetch(["crun"]) == [
        archives / "crun_1%3a1.21-1_amd64.deb",
        archives / "libc6_2.41-12_amd64.deb",
    ]


def test_one_package_is_fetched_alone(suite: AptSuite, tmp_path: Path) -> None:
    file = suite.fetch_only("linux")
    assert file == tmp_path / "suite/archives/linux_6.1.2-1_amd64.deb"


def test_direct_dependencies_are_neither_recommended_nor_others(
    suite: AptSuite,
) -> None:
    assert suite.dependencies("linux") == ["linux-image-6.1", "a"]


def test_nothing_of_the_hosts_package_database_is_read_or_written(
    suite: AptSuite, calls: Path, tmp_path: Path
) -> None:
    suite.update()
    line = calls.read_text().splitlines()[-1]
    directory = tmp_path / "suite"
    for option in (
        f"Dir::Etc::sourcelist={directory}/sources.list",
        "Dir::Etc::sourceparts=/dev/null",
        f"Dir::State::lists={directory}/lists",
        f"Dir::State::status={directory}/status",
        f"Dir::Cache::archives={directory}/archives",
    ):
        assert f"-o {option}" in line


def test_the_sources_are_signed_and_of_the_suite_with_its_updates(
    suite: AptSuite, tmp_path: Path
) -> None:
    lines = (tmp_path / "suite/sources.list").read_text().splitlines()
    assert [line.split()[-2] for line in lines] == [
        "trixie",
        "trixie-updates",
        "trixie-security",
    ]
    assert all(f"[signed-by={apt.KEYRING}]" in line for line in lines)


def test_another_mirror_is_taken_from_the_environment(
    calls: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DEBIAN_MIRROR", "http://mirror.example/debian")
    AptSuite("trixie", tmp_path / "suite")
    sources = (tmp_path / "suite/sources.list").read_text()
    assert " http://mirror.example/debian trixie main" in sources


def test_a_failure_ends_with_the_words_of_apt(suite: AptSuite) -> None:
    with pytest.raises(AptError, match=r"apt-get download \(trixie\):\nE: no such"):
        suite.fetch_only("broken")


def test_a_missing_keyring_names_its_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(apt, "KEYRING", tmp_path / "missing")
    with pytest.raises(AptError, match="package debian-archive-keyring"):
        AptSuite("trixie", tmp_path / "suite")


def test_the_mirror_is_the_one_of_the_host(suite: AptSuite, tmp_path: Path) -> None:
    lines = (tmp_path / "suite/sources.list").read_text().splitlines()
    assert [line.split()[2:4] for line in lines] == [
        ["http://mirror/debian", "trixie"],
        ["http://mirror/debian", "trixie-updates"],
        ["http://mirror/debian-security", "trixie-security"],
    ]


def test_a_host_without_a_debian_mirror_is_asked_for_one(
    calls: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SITES", "http://mirror/ubuntu")
    with pytest.raises(AptError, match="no Debian mirror .* set DEBIAN_MIRROR"):
        AptSuite("trixie", tmp_path / "other")
    monkeypatch.setenv("DEBIAN_MIRROR", "http://given/debian")
    AptSuite("trixie", tmp_path / "other")
    assert (
        "http://given/debian trixie main"
        in (tmp_path / "other/sources.list").read_text()
    )
