# SPDX-License-Identifier: Apache-2.0
"""The agent's Python packages: downloaded by pip, pinned by hash, unpacked by us."""

from __future__ import annotations

import shutil
import subprocess
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from kata_host.child import child_environment, module_command

VERSION: Final = "3.13"
"""The version of the guest's interpreter, the only one of Debian 13."""
PLATFORM: Final = "manylinux2014_x86_64"
_HERE: Final = Path(__file__).parent
_SDIST_PACKAGES: Final = ("jaeger_client",)


class PipError(Exception):
    """pip failed; the message ends with its standard error."""


def fetch(directory: Path) -> list[Path]:
    """Download every package into `directory`; return the files, sorted by name.

    Raises `PipError`.
    """
    wheels = directory / "wheels"
    _download(
        wheels,
        _HERE / "requirements.txt",
        "--only-binary=:all:",
        f"--python-version={VERSION}",
        "--implementation=cp",
        f"--platform={PLATFORM}",
    )
    sources = directory / "sources"
    _download(sources, _HERE / "requirements-source.txt", "--no-binary=:all:")
    return sorted([*wheels.iterdir(), *sources.iterdir()])


def unpack(files: list[Path], target: Path) -> None:
    """Unpack wheels and source archives below `target`."""
    target.mkdir(parents=True)
    for file in files:
        if file.suffix == ".whl":
            with zipfile.ZipFile(file) as wheel:
                wheel.extractall(target)
        else:
            with tarfile.open(file) as archive:
                for name, content in _modules(archive):
                    path = target / name
                    path.parent.mkdir(parents=True, exist_ok=True)
                    path.write_bytes(content)
    _remove_cxx(target)


def _remove_cxx(target: Path) -> None:
    """Make protobuf's extension load without the C++ library, which is not installed.

    The extension names libstdc++ as needed and uses nothing of it. An extension that
    does not load makes protobuf fall back to Python code that takes ten times as long,
    without a word. The C++ part of thrift is optional and is removed.
    """
    (protobuf,) = target.glob("google/_upb/*.so")
    command = ["patchelf", "--remove-needed", "libstdc++.so.6", str(protobuf)]
    subprocess.run(command, check=True)
    for accelerator in target.glob("thrift/protocol/fastbinary.*"):
        accelerator.unlink()


def _modules(archive: tarfile.TarFile) -> Iterator[tuple[str, bytes]]:
    """Yield the name and the content of each file of a source archive's packages.

    Unpacked by hand, because Python 3.11.2 of Debian 12 has no filters of `extractall`.
    """
    for member in archive:
        _, _, name = member.name.partition("/")
        parts = name.split("/")
        if parts[0] in _SDIST_PACKAGES and ".." not in parts and member.isfile():
            content = archive.extractfile(member)
            assert content is not None
            yield name, content.read()


def _download(directory: Path, requirements: Path, *options: str) -> None:
    """Make `directory` hold the files that `requirements` names, and no others."""
    mark = directory.with_suffix(".requirements")
    content = requirements.read_bytes()
    if mark.exists() and mark.read_bytes() == content:
        return
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    command = module_command("pip", "download", "--quiet", "--no-deps")
    command += ["--disable-pip-version-check", "--require-hashes"]
    command += [*options, f"--dest={directory}", f"--requirement={requirements}"]
    done = subprocess.run(
        command, capture_output=True, text=True, env=child_environment()
    )
    if done.returncode:
        raise PipError(f"pip download:\n{done.stderr.strip()}")
    # Written last, so that a download that was interrupted is not taken for whole.
    mark.write_bytes(content)
