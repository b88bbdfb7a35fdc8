# SPDX-License-Identifier: Apache-2.0
from pathlib import Path

import pytest

from kata_host.needed_programs import SYSTEM_DIRECTORIES, missing, search_path


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only directory of PATH, with a `skopeo`."""
    (tmp_path / "skopeo").touch(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    return tmp_path


def test_nothing_is_said_of_programs_that_are_there(programs: Path) -> None:
    assert missing("skopeo") is None
    assert missing() is None


@pytest.mark.parametrize(
    ("program", "package"),
    [("crun", "crun"), ("busybox", "busybox-static"), ("mkfs.erofs", "erofs-utils")],
)
def test_a_missing_program_is_named_with_its_package(
    programs: Path, program: str, package: str
) -> None:
    assert missing("skopeo", program) == f"{program}: not found (package {package})"


def test_the_programs_of_the_system_are_found_where_users_do_not_look(
    programs: Path,
) -> None:
    path = [str(programs), *SYSTEM_DIRECTORIES]
    assert search_path().split(":") == path
    # Debian's kmod, which builds the image of VM guests, is there alone.
    assert missing("depmod") is None


def test_all_that_is_missing_is_named_at_once(
    programs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kata_host.needed_programs.SYSTEM_DIRECTORIES", ())
    assert missing("xz", "skopeo", "modprobe", "depmod") == (
        "xz, modprobe, depmod: not found (packages xz-utils, kmod)"
    )


def test_another_path_than_that_of_this_process_counts(programs: Path) -> None:
    assert missing("skopeo", path="/no/such") is not None
    (programs / "more").mkdir()
    (programs / "more/crun").touch(0o755)
    assert missing("crun", path=str(programs / "more")) is None
