# SPDX-License-Identifier: Apache-2.0
"""The examples run, and have no error of types, where only the wheels are installed."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.namespace import require_root
from tests.packaging.conftest import ROOT, Environment, new_environment

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.fixture
def examples(tmp_path: Path) -> Path:
    """A copy of the examples, away from the clone."""
    return shutil.copytree(ROOT / "examples", tmp_path / "examples")


@pytest.fixture(scope="module")
def with_stubs(
    dist: list[Path], tmp_path_factory: pytest.TempPathFactory
) -> Environment:
    """An environment with the wheels, and protobuf's types, which mypy asks for."""
    environment = new_environment(tmp_path_factory.mktemp("stubs") / "venv")
    wheels = [file for file in dist if file.suffix == ".whl"]
    environment.install(*wheels, "types-protobuf")
    return environment


@pytest.mark.root
def test_a_container_runs(installed: Environment, examples: Path) -> None:
    require_root()
    result = subprocess.run(
        [installed.python, "run_container.py"],
        cwd=examples,
        capture_output=True,
        text=True,
    )
    assert not result.stderr
    assert result.stdout.splitlines()[1:] == ["0 hello", "7 12"]


@pytest.mark.parametrize("folder", [".", "ttrpc_service"])
@pytest.mark.parametrize(
    "checker",
    [
        ["mypy", "--strict", "--no-incremental", "--python-executable"],
        ["pyright", "--level", "error", "--pythonpath"],
    ],
    ids=["mypy", "pyright"],
)
def test_types_have_no_error(
    with_stubs: Environment, examples: Path, checker: list[str], folder: str
) -> None:
    programs = [
        path.name for path in (examples / folder).glob("*.py") if "pb2" not in path.name
    ]
    result = subprocess.run(
        [sys.executable, "-P", "-m", *checker, with_stubs.python, *programs],
        cwd=examples / folder,
        capture_output=True,
        text=True,
    )
    if result.returncode != 0:
        pytest.fail(result.stdout + result.stderr, pytrace=False)
