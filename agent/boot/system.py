# SPDX-License-Identifier: Apache-2.0
"""The small duties of PID 1: terminal, PATH, hostname, loopback."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from kata_agent.linux.interface import raise_interface
from kata_agent.linux.namespace import set_hostname as set_kernel_hostname
from kata_agent.linux.spawn import DEFAULT_ENVIRONMENT
from kata_agent.linux.terminal import take_controlling_terminal
from kata_agent.system_paths import SystemPaths

OWN_PROGRAMS: Final = "/usr/lib/kata-agent/bin"
"""The programs of the agent's tarball, for images without a runtime or iproute2."""


def link_ptmx(paths: SystemPaths) -> None:
    """Make /dev/ptmx the multiplexer of the mounted devpts (devpts.rst)."""
    ptmx = paths.dev / "ptmx"
    ptmx.unlink(missing_ok=True)
    ptmx.symlink_to("pts/ptmx")


def take_terminal() -> None:
    """Lead a session with stdin as its controlling terminal, if stdin is a terminal.

    A shell on the console has job control then.
    """
    try:
        os.setsid()
    except PermissionError:
        # The agent leads a session already.
        pass
    if os.isatty(0):
        take_controlling_terminal(0)


def set_search_path() -> None:
    """Set PATH for the look-up of helper programs, because the kernel sets none."""
    os.environ["PATH"] = f"{DEFAULT_ENVIRONMENT['PATH']}:{OWN_PROGRAMS}"


def set_hostname(paths: SystemPaths) -> None:
    """Set the guest's name to the first line of /etc/hostname, if there is one."""
    name = read_hostname(paths.etc / "hostname")
    if name:
        set_kernel_hostname(name)


def read_hostname(file: Path) -> str:
    """Return the name in `file`, or an empty one (man 5 hostname)."""
    try:
        lines = file.read_text().splitlines()
    except FileNotFoundError:
        return ""
    names = (line.strip() for line in lines)
    return next((name for name in names if name and not name.startswith("#")), "")


def raise_loopback() -> None:
    """Set the interface `lo` up; the kernel adds the addresses."""
    raise_interface("lo")
