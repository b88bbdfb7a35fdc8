# SPDX-License-Identifier: Apache-2.0
"""The command lines of README, run by a newcomer: in order, in one shell, at home.

The home and the folders of guests and images are new and empty.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.e2e.conftest import PATIENCE, environment_of_guests
from tests.helpers.page_programs import BLOCK
from tests.helpers.source_tree import ROOT
from tests.helpers.vm import require_image

LINE: Final = re.compile(r"^ {4}(\w.*|\. .*)$", re.M)
NOT_RUN: Final = {
    "make run": "it installs packages of Debian",
    "make test": "it is all of these tests",
    "make run-vm": "it builds the image; tests/e2e/test_vm.py runs the same command",
    ". .venv/share/": "made by an installation: tests/packaging/test_completion.py",
    "fpath=": "zsh's: tests/packaging/test_completion.py",
    "source .venv/": "fish's: tests/packaging/test_completion.py",
    "AGENT_TARBALL=": "osbuilder's: tests/host/guest/test_tarball.py",
    "AGENT_INIT=": "osbuilder's: tests/host/guest/test_tarball.py",
    "kata-agent-ctl run -it": "a terminal's: tests/e2e/test_docker_table.py",
    "kata-agent-ctl shell": "a terminal's: tests/e2e/test_guest.py",
    "kata-agent-ctl run --network user": "the Internet's: tests/e2e/test_network.py",
}
"""Beginnings of lines, and why they are not run here."""
SHOWS: Final = {
    "kata-agent-ctl run --local -- sh": "hello\n7\n",
    "echo hi": "hi\n",
    "kata-agent-ctl run -d": "web\n",
    "kata-agent-ctl rm": "web\n",
}
"""What these lines print. All end well."""


def lines() -> list[str]:
    """Return the command lines; a fenced block is a program, tests/test_docs.py's."""
    readme = BLOCK.sub("", (ROOT / "README.md").read_text())
    found: list[str] = LINE.findall(readme)
    return [line for line in found if not line.startswith(tuple(NOT_RUN))]


def test_every_line_that_is_not_run_is_in_the_readme() -> None:
    readme = (ROOT / "README.md").read_text()
    assert not [words for words in NOT_RUN if f"\n    {words}" not in readme]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A clone after its set-up, as far as the lines need one."""
    (tmp_path / ".venv").symlink_to(sys.prefix)
    return tmp_path


@pytest.fixture
def environment(scratch: Path, home: Path) -> Iterator[dict[str, str]]:
    with environment_of_guests(scratch) as environment:
        yield {
            **environment,
            "HOME": str(home),
            "KATA_IMAGE_STORE": str(home / "store"),
        }


def run_all(script: list[str], environment: dict[str, str], home: Path) -> None:
    """Run lines in one shell, which says which of them has printed what."""
    program = "".join(
        f"echo '# {n}'\n{line} || exit\n" for n, line in enumerate(script)
    )
    ran = subprocess.run(
        ["bash", "-c", program],
        cwd=home,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=2 * PATIENCE,
    )
    assert (ran.stderr, ran.returncode) == ("", 0), ran.stdout
    printed = re.split(r"^# \d+\n", ran.stdout, flags=re.M)[1:]
    for line, output in zip(script, printed, strict=True):
        for words, shown in SHOWS.items():
            assert not line.startswith(words) or output == shown, line


def command_of(line: str) -> str:
    """Return a line without the comment at its end, which would hide what follows."""
    return re.sub(r" {2,}#.*", "", line)


def test_the_lines_run_without_a_vm(environment: dict[str, str], home: Path) -> None:
    """The guest that stays is a local one, as the line's comment says."""
    script = [command_of(line).replace(" --vm ", " --local ") for line in lines()]
    assert any("guest start --local" in line for line in script)
    run_all(script, environment, home)


@pytest.mark.vm
@pytest.mark.slow
def test_the_lines_of_a_vm_that_stays(environment: dict[str, str], home: Path) -> None:
    require_image()
    # Where the image is.
    environment["HOME"] = os.environ["HOME"]
    script = [command_of(line) for line in lines()]
    start = next(n for n, line in enumerate(script) if "guest start --vm" in line)
    run_all([script[0], *script[start:]], environment, home)
