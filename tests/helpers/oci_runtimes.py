# SPDX-License-Identifier: Apache-2.0
"""The OCI runtimes that run the containers of real Kata runtimes in tests."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Final

import pytest

from kata_host.guest.local_guest import PATH, LocalGuest
from kata_protos import oci_pb2
from tests.helpers import vm

CRUN_13: Final = "crun13"
"""crun of Debian 13, with its libraries, out of the guest's image."""
RUNTIMES: Final = (
    "crun",
    "runc",
    pytest.param(CRUN_13, marks=[pytest.mark.vm, pytest.mark.slow]),
)
"""This host's, and that one."""

GO_NEEDS: Final = "rt_sigreturn"
"""The system call by which a Go program goes on after a signal of its scheduler."""


def allow_what_runs_it(runtime: str, profile: oci_pb2.LinuxSeccomp) -> None:
    """Let a runtime start the program of a container with this profile.

    runc's init is a Go program and goes on for a moment under the container's profile.
    The profile of the client crate lacks `rt_sigreturn`, so runc ends with SIGSEGV
    (139) if its scheduler sends it a signal in that moment: once in some 60 starts on a
    busy machine.
    """
    if runtime == "runc" and profile.Syscalls:
        profile.Syscalls[0].Names.append(GO_NEEDS)


def session_for(runtime: str, lines: str) -> str:
    """Return a captured session with profiles under which a runtime can start."""
    if runtime != "runc":
        return lines
    return lines.replace('"close_range"]', f'"close_range", "{GO_NEEDS}"]')


def local_guest_with(
    runtime: str, directory: Path, scratch: Path, *, cgroup: str
) -> LocalGuest:
    """Return a guest of one of `RUNTIMES`, not started.

    `scratch` outlives the guest. Skips without the runtime, fails in CI.
    """
    environment = {"KATA_AGENT_LOG_LEVEL": "debug"}
    name = runtime
    if runtime == CRUN_13:
        name = "crun"
        environment["PATH"] = f"{crun_of_image(scratch)}:{PATH}"
    elif shutil.which(runtime) is None:
        missing = pytest.fail if os.environ.get("CI") else pytest.skip
        missing(f"needs {runtime}")
    return LocalGuest(
        directory,
        environment=environment,
        cgroup=cgroup,
        parameters=[f"agent.runtime={name}"],
    )


def crun_of_image(scratch: Path) -> Path:
    """Make a directory with a `crun` that runs the image's, by the image's loader."""
    tree = vm.require_image().tree
    (version,) = (
        name.split("_")[1].partition("-")[0]
        for name in vm.require_image().manifest["debian"]
        if name.startswith("crun_")
    )
    directory = scratch / "bin"
    directory.mkdir(exist_ok=True)
    program = directory / "crun"
    program.write_text(
        f"#!/bin/sh\nexec {tree}/usr/lib64/ld-linux-x86-64.so.2 "
        f'--library-path {tree}/usr/lib/x86_64-linux-gnu {tree}/usr/bin/crun "$@"\n'
    )
    program.chmod(0o755)
    shown = subprocess.run([program, "--version"], check=True, capture_output=True)
    assert shown.stdout.startswith(f"crun version {version}\n".encode())
    return directory
