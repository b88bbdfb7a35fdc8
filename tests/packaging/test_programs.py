# SPDX-License-Identifier: Apache-2.0
"""The installed programs, run in a folder full of modules that shadow others.

The environment has the two wheels and no clone; `PYTHONPATH` is not set.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from google.protobuf.compiler.plugin_pb2 import (
    CodeGeneratorRequest,
    CodeGeneratorResponse,
)

from kata_agent.version import VERSION
from kata_host.guest.image import store
from tests.helpers.namespace import require_root
from tests.helpers.vm import require_image
from tests.packaging.conftest import Environment, imported

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


class Programs:
    """Runs installed programs with the user's folder as current directory."""

    def __init__(self, environment: Environment, folder: Path) -> None:
        self._environment = environment
        self._folder = folder
        self.variables = {
            "PATH": os.environ["PATH"],
            "HOME": os.environ["HOME"],
            "XDG_RUNTIME_DIR": str(folder.parent),
        }

    def __call__(
        self, name: str, *arguments: str, data: bytes = b"", status: int = 0
    ) -> bytes:
        """Return the standard output of a program that ends with `status`."""
        done = subprocess.run(
            [self._environment.program(name), *arguments],
            input=data,
            capture_output=True,
            cwd=self._folder,
            env=self.variables,
        )
        assert done.returncode == status, done.stderr.decode()
        return done.stdout


@pytest.fixture
def programs(installed: Environment, users_folder: Path) -> Programs:
    return Programs(installed, users_folder)


def test_the_packages_are_those_of_the_environment(
    installed: Environment, programs: Programs
) -> None:
    names = ("kata_agent", "kata_host", "kata_protos", "kata_tracing", "ttrpc")
    script = f"import {', '.join(names)}\n" + "".join(
        f"print({name}.__file__)\n" for name in names
    )
    files = programs("python", "-P", "-c", script).decode().splitlines()
    assert all(file.startswith(str(installed.directory)) for file in files)


@pytest.mark.parametrize("package", ["kata_agent", "kata_host", "ttrpc"])
def test_a_package_says_its_version(programs: Programs, package: str) -> None:
    script = (
        f"import importlib.metadata, {package};"
        f"name = {package!r} if {package!r} == 'ttrpc' else 'kata-agent';"
        f"assert {package}.__version__ == importlib.metadata.version(name)"
    )
    programs("python", "-P", "-c", script)


def test_programs_print_their_version_or_usage(
    programs: Programs, users_folder: Path
) -> None:
    assert programs("kata-agent", "--version").decode().split()[:2] == [
        "kata-agent",
        VERSION,
    ]
    assert b"usage: kata-agent-ctl" in programs("kata-agent-ctl", "--help")
    assert b"usage: kata-trace-forwarder" in programs("kata-trace-forwarder", "--help")
    assert not imported(users_folder)


def test_man_finds_the_pages_beside_the_program(installed: Environment) -> None:
    """man looks into ../share/man of the folders of PATH (man 5 manpath)."""
    pages = installed.directory / "share/man/man1"
    assert (pages / "kata-agent-ctl.1").read_text().startswith(".TH KATA")
    assert (pages / "kata-agent-ctl-run.1").exists()


def test_the_protoc_plugin_answers(programs: Programs, users_folder: Path) -> None:
    request = CodeGeneratorRequest().SerializeToString()
    response = CodeGeneratorResponse.FromString(
        programs("protoc-gen-pyttrpc", data=request)
    )
    assert not response.error
    assert not imported(users_folder)


@pytest.mark.root
def test_a_container_runs_in_a_local_guest(
    programs: Programs, users_folder: Path
) -> None:
    require_root()
    assert programs("kata-agent-ctl", "run", "--local", "--", "echo", "hi") == b"hi\n"
    assert not imported(users_folder)


@pytest.mark.root
def test_a_guest_that_stays_is_started_and_stopped(
    programs: Programs, users_folder: Path
) -> None:
    require_root()
    name, address = (
        programs("kata-agent-ctl", "guest", "start", "--name", "one").decode().split()
    )
    try:
        assert name == "one"
        assert b"SERVING" in programs(
            "kata-agent-ctl", "call", "--guest", address, "check"
        )
    finally:
        programs("kata-agent-ctl", "guest", "stop", "one")
    assert not imported(users_folder)


@pytest.mark.vm
def test_the_image_is_built_and_a_vm_is_started(
    programs: Programs, users_folder: Path, tmp_path: Path
) -> None:
    require_image()
    for downloads in ("apt", "pip"):
        link = tmp_path / "cache/kata-agent" / downloads
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(store.cache() / downloads)
    programs.variables["XDG_CACHE_HOME"] = str(tmp_path / "cache")
    # -P, because -m alone finds the module in the current directory.
    programs("python", "-P", "-m", "kata_host.guest.image")
    assert programs("kata-agent-ctl", "run", "--vm", "--", "echo", "hi") == b"hi\n"
    assert not imported(users_folder)
