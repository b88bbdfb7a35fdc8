# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import io
import os
import tarfile
import zipfile
from pathlib import Path

import pytest

from kata_host.guest.image import python
from kata_host.guest.image.python import PipError

EXTENSION = "google/_upb/_message.abi3.so"


@pytest.fixture
def patched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file with the arguments of each call of patchelf, which is a script."""
    programs = tmp_path / "bin"
    programs.mkdir()
    calls = tmp_path / "patched"
    (programs / "patchelf").write_text(f'#!/bin/sh\necho "$@" >> {calls}\n')
    (programs / "patchelf").chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    return calls


def wheel(directory: Path, **files: str) -> Path:
    path = directory / "some-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(EXTENSION, "")
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def sdist(directory: Path, names: list[str]) -> Path:
    path = directory / "jaeger-client-4.8.0.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        for name in names:
            member = tarfile.TarInfo(name)
            member.size = 4
            archive.addfile(member, io.BytesIO(b"code"))
    return path


def test_wheels_are_unpacked(patched: Path, tmp_path: Path) -> None:
    target = tmp_path / "packages"
    python.unpack([wheel(tmp_path, **{"some/__init__.py": "x = 1\n"})], target)
    assert (target / "some/__init__.py").read_text() == "x = 1\n"


def test_of_a_source_archive_only_its_package_is_unpacked(
    patched: Path, tmp_path: Path
) -> None:
    names = [
        "jaeger-client-4.8.0/setup.py",
        "jaeger-client-4.8.0/jaeger_client/thrift_gen/ttypes.py",
        "jaeger-client-4.8.0/tests/test_x.py",
    ]
    target = tmp_path / "packages"
    python.unpack([wheel(tmp_path), sdist(tmp_path, names)], target)
    assert (target / "jaeger_client/thrift_gen/ttypes.py").read_text() == "code"
    assert not (target / "setup.py").exists()
    assert not (target / "tests").exists()


def test_a_source_archive_cannot_write_outside(patched: Path, tmp_path: Path) -> None:
    names = ["x/jaeger_client/../../../escaped.py", "/jaeger_client/../escaped.py"]
    target = tmp_path / "a/packages"
    target.parent.mkdir()
    python.unpack([wheel(tmp_path), sdist(tmp_path, names)], target)
    assert not list(tmp_path.rglob("escaped.py"))


def test_the_extension_of_protobuf_no_longer_asks_for_a_c_plus_plus_library(
    patched: Path, tmp_path: Path
) -> None:
    target = tmp_path / "packages"
    accelerator = "thrift/protocol/fastbinary.cpython-313-x86_64-linux-gnu.so"
    python.unpack([wheel(tmp_path, **{accelerator: ""})], target)
    assert patched.read_text().split() == [
        "--remove-needed",
        "libstdc++.so.6",
        str(target / EXTENSION),
    ]
    assert not (target / accelerator).exists()


def test_a_failure_ends_with_the_words_of_pip(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    with pytest.raises(
        PipError, match=r"(?s)pip download:\n.*No matching distribution"
    ):
        python.fetch(tmp_path)


@pytest.fixture
def pip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file with one line for each call of pip, which is a script."""
    calls = tmp_path / "calls"
    program = tmp_path / "pip"
    program.write_text(
        "#!/bin/sh\n"
        f'echo "$@" >> {calls}\n'
        "for word; do\n"
        '    case $word in --dest=*) : > "${word#--dest=}/file.whl";; esac\n'
        "done\n"
    )
    program.chmod(0o755)
    monkeypatch.setattr(
        python, "module_command", lambda module, *words: [str(program), *words]
    )
    return calls


def test_files_are_downloaded_once(pip: Path, tmp_path: Path) -> None:
    directory = tmp_path / "downloads"
    first = python.fetch(directory)
    assert [file.name for file in first] == ["file.whl", "file.whl"]
    assert python.fetch(directory) == first
    assert len(pip.read_text().splitlines()) == 2


def test_changed_requirements_are_downloaded_anew(
    pip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = tmp_path / "downloads"
    python.fetch(directory)
    (directory / "wheels/old.whl").touch()
    here = tmp_path / "here"
    here.mkdir()
    for name in ("requirements.txt", "requirements-source.txt"):
        (here / name).write_text(f"{name}==2\n")
    monkeypatch.setattr(python, "_HERE", here)
    assert [file.name for file in python.fetch(directory)] == ["file.whl", "file.whl"]
    assert len(pip.read_text().splitlines()) == 4


def test_every_requirement_is_pinned_by_version_and_digest() -> None:
    for name in ("requirements.txt", "requirements-source.txt"):
        file = Path(python.__file__).parent / name
        for line in file.read_text().splitlines():
            assert line.startswith("#") or ("==" in line and "--hash=sha256:" in line)
