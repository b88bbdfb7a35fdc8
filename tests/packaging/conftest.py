# SPDX-License-Identifier: Apache-2.0
"""Both distributions, built from the clone and installed into environments."""

from __future__ import annotations

import subprocess
import sys
import venv
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class Environment:
    """A virtual environment of the test's own."""

    directory: Path

    @property
    def python(self) -> Path:
        return self.directory / "bin/python"

    def program(self, name: str) -> Path:
        """Return the path of an installed program."""
        return self.directory / "bin" / name

    def install(self, *arguments: str | Path) -> None:
        """Install distributions. To give each environment a pip takes 3 s."""
        pip = [sys.executable, "-m", "pip", "--python", self.python, "--quiet"]
        command = [*pip, "--disable-pip-version-check", "install", "--no-compile"]
        subprocess.run([*command, *arguments], check=True, cwd=self.directory)


def new_environment(directory: Path) -> Environment:
    """Make an environment that has nothing."""
    venv.create(directory)
    return Environment(directory)


def build(target: Path) -> list[Path]:
    """Build and check everything as `make dist` does; return the files, sorted."""
    subprocess.run(
        ["make", "--directory", ROOT, "dist", f"DIST={target}"],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    return sorted(target.iterdir())


@pytest.fixture(scope="session")
def dist(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The wheels and source archives of both distributions."""
    return build(tmp_path_factory.mktemp("dist") / "dist")


@pytest.fixture(scope="session")
def installed(
    dist: list[Path], tmp_path_factory: pytest.TempPathFactory
) -> Environment:
    """An environment with the two wheels, their dependencies and pip.

    pip is for the builder of the guest's image.
    """
    environment = new_environment(tmp_path_factory.mktemp("installed") / "venv")
    wheels = [file for file in dist if file.suffix == ".whl"]
    environment.install("pip", *wheels)
    return environment


@pytest.fixture(scope="session")
def editable(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """An environment with editable installs of the clone."""
    environment = new_environment(tmp_path_factory.mktemp("editable") / "venv")
    environment.install("--editable", ROOT / "ttrpc", "--editable", ROOT)
    return environment


@pytest.fixture
def users_folder(tmp_path: Path) -> Path:
    """A folder of a user's that holds modules of all names that our programs import.

    Each of them writes its name into the file `imported` when it is run.
    """
    folder = tmp_path / "users"
    program = (
        "import os\n"
        f"with open({str(tmp_path / 'imported')!r}, 'a') as file:\n"
        "    print(__name__, __file__, file=file)\n"
    )
    for name in (
        *("agent.py", "tracing.py", "protos/__init__.py"),
        *("guest/__init__.py", "guest/holder.py", "host/__init__.py"),
        *("json.py", "select.py", "struct.py", "concurrent/__init__.py"),
        *("kata_host/__init__.py", "kata_host/guest/holder.py"),
        *("kata_agent/__init__.py", "ttrpc/__init__.py", "google/__init__.py"),
        *("pip/__init__.py", "pip/__main__.py", "compileall.py", "sitecustomize.py"),
    ):
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(program)
    return folder


def imported(users_folder: Path) -> str:
    """Return the names of the user's modules that any process has run."""
    file = users_folder.parent / "imported"
    return file.read_text() if file.exists() else ""
