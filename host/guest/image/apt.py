# SPDX-License-Identifier: Apache-2.0
"""Packages of one Debian suite, fetched by apt into a directory of our own.

apt keeps its lists, its archives and an empty list of installed packages there, so the
host's package database is neither read nor written, and no root is needed. apt checks
every package against the suite's signed Release file. The mirror is the one that the
host's apt uses, or `DEBIAN_MIRROR` of the environment.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Final

KEYRING: Final = Path("/usr/share/keyrings/debian-archive-keyring.gpg")

_PLAN: Final = re.compile(r"^Inst (\S+) \((\S+) .*\[(\w+)\]\)", re.MULTILINE)
"""A line of a simulated installation: `Inst crun (1.21-1 Debian:13 [amd64])`."""


class AptError(Exception):
    """apt failed; the message ends with the last lines of its output."""


class AptSuite:
    """One suite (`trixie`) with its updates, kept below `directory`.

    Every method raises `AptError` if apt fails.
    """

    def __init__(self, name: str, directory: Path) -> None:
        self.name = name
        self._directory = directory
        self._archives = directory / "archives"
        if not KEYRING.exists():
            raise AptError(f"{KEYRING}: not found (package debian-archive-keyring)")
        for path in (directory / "lists/partial", self._archives / "partial"):
            path.mkdir(parents=True, exist_ok=True)
        (directory / "status").touch()
        self._write_sources()

    def _write_sources(self) -> None:
        mirror = os.environ.get("DEBIAN_MIRROR") or _host_mirror()
        security = os.environ.get("DEBIAN_SECURITY_MIRROR") or f"{mirror}-security"
        (self._directory / "sources.list").write_text(
            f"deb [signed-by={KEYRING}] {mirror} {self.name} main\n"
            f"deb [signed-by={KEYRING}] {mirror} {self.name}-updates main\n"
            f"deb [signed-by={KEYRING}] {security} {self.name}-security main\n"
        )

    def update(self) -> None:
        """Fetch the current package lists."""
        self._apt("apt-get", "update")

    def fetch(self, packages: Sequence[str]) -> list[Path]:
        """Download packages and their dependencies; return the files, sorted."""
        plan = self._apt("apt-get", "install", "--simulate", *packages)
        self._apt("apt-get", "install", "--yes", "--download-only", *packages)
        return sorted(
            self._archives / _file_name(*match.groups())
            for match in _PLAN.finditer(plan)
        )

    def fetch_only(self, package: str) -> Path:
        """Download one package without its dependencies; return the file."""
        self._apt("apt-get", "download", package, cwd=self._archives)
        shown = self._apt("apt-cache", "show", "--no-all-versions", package)
        fields = dict(
            line.split(": ", 1) for line in shown.splitlines() if ": " in line
        )
        name = _file_name(package, fields["Version"], fields["Architecture"])
        return self._archives / name

    def dependencies(self, package: str) -> list[str]:
        """Return the names of a package's direct dependencies."""
        lines = self._apt("apt-cache", "depends", package).splitlines()
        marker = "Depends:"
        return [
            line.split(marker)[1].strip()
            for line in lines
            if line.strip().startswith(marker)
        ]

    def _apt(self, program: str, *arguments: str, cwd: Path | None = None) -> str:
        directory = self._directory.resolve()
        options = {
            "Dir::Etc::sourcelist": directory / "sources.list",
            "Dir::Etc::sourceparts": "/dev/null",
            "Dir::State::lists": directory / "lists",
            "Dir::State::status": directory / "status",
            "Dir::Cache::archives": directory / "archives",
            "Dir::Cache::pkgcache": "",
            "Dir::Cache::srcpkgcache": "",
            "APT::Architecture": "amd64",
            "APT::Install-Recommends": "false",
            "APT::Sandbox::User": "",
            "APT::Keep-Downloaded-Packages": "true",
            "Acquire::Languages": "none",
            "Acquire::Retries": "3",
            "Debug::NoLocking": "true",
            "pkgCacheGen::Essential": "none",
        }
        command = [program]
        for name, value in options.items():
            command += ["-o", f"{name}={value}"]
        done = subprocess.run(
            [*command, *arguments],
            cwd=cwd,
            env={**os.environ, "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )
        if done.returncode:
            tail = "\n".join((done.stdout + done.stderr).splitlines()[-10:])
            raise AptError(f"{program} {arguments[0]} ({self.name}):\n{tail}")
        return done.stdout


def _host_mirror() -> str:
    """Return the address of the Debian mirror that this host's apt uses."""
    command = ["apt-get", "indextargets", "--format", "$(SITE)"]
    done = subprocess.run(command, capture_output=True, text=True)
    for site in done.stdout.split():
        if site.rstrip("/").endswith("/debian"):
            return site.rstrip("/")
    raise AptError("apt: no Debian mirror among this host's sources; set DEBIAN_MIRROR")


def _file_name(package: str, version: str, architecture: str) -> str:
    # In file names, apt writes the colon of an epoch as %3a.
    return f"{package}_{version.replace(':', '%3a')}_{architecture}.deb"
