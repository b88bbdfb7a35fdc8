# SPDX-License-Identifier: Apache-2.0
"""`run -v` in VMs: files and folders of the host by virtiofsd."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.conftest import Ctl, wait_until
from tests.helpers.shared_volumes import (
    daemons_of,
    plugged_volumes,
    require_virtiofsd,
    servers,
)
from tests.helpers.vm import require_image

pytestmark = [pytest.mark.vm, pytest.mark.slow, pytest.mark.timeout(400)]


@pytest.fixture(autouse=True)
def _needed() -> None:
    require_virtiofsd()
    require_image()


def test_a_vm_that_stays_has_volumes_until_one_breaks(
    ctl: Ctl,
    started: Callable[..., subprocess.Popen[bytes]],
    environment: dict[str, str],
    scratch: Path,
    tmp_path: Path,
) -> None:
    environment["XDG_RUNTIME_DIR"] = str(scratch / "run")
    (scratch / "run").mkdir()
    guest = scratch / "run/kata-agent/v1"
    folder, file = tmp_path / "a,b", tmp_path / "file"
    folder.mkdir()
    file.write_text("text\n")
    run = ("run", "--guest", "v1", "-v")
    try:
        # A container that stays, in a guest of its own.
        options = ("-d", "--vm", "-v", f"{folder}:/d", "-v", f"{file}:/f:ro")
        ran = ctl("run", "--name", "v1", *options, "--", "sleep", "1000", timeout=300)
        assert (ran.stdout, ran.returncode) == ("v1\n", 0)
        ran = ctl("exec", "v1", "--", "sh", "-c", "cat /f; echo up >/d/up; echo >/f")
        assert ran.stdout == "text\n"
        assert "Read-only file system" in ran.stderr
        assert (folder / "up").read_text() == "up\n"
        own = plugged_volumes(guest / "qmp.sock")
        assert len(own) == 4
        # One that does not, beside it.
        script = "cat /d/up; touch /d/no; exit 4"
        ran = ctl(*run, f"{folder}:/d:ro", "--", "sh", "-c", script)
        assert (ran.stdout, ran.returncode) == ("up\n", 4)
        assert ran.stderr == "touch: /d/no: Read-only file system\n"
        wait_until(lambda: plugged_volumes(guest / "qmp.sock") == own)
        for volume, fault in (
            (f"{tmp_path}/none:/d", "none: No such file or directory"),
            ("/dev/null:/d", "volume '/dev/null': neither a file nor a directory"),
        ):
            ran = ctl(*run, volume, "--", "true")
            assert (ran.returncode, ran.stdout) == (125, "")
            assert ran.stderr.endswith(f"{fault}\n")
        # A command that is killed leaves what the next one removes.
        killed = started(
            *run, f"{folder}:/d", "--", "sh", "-c", "touch /d/two; sleep 1000"
        )
        wait_until((folder / "two").exists)
        killed.kill()
        killed.wait()
        assert ctl(*run, f"{folder}:/d", "--", "true").returncode == 0
        wait_until(lambda: plugged_volumes(guest / "qmp.sock") == own)
        # The devices leave the VM before their server ends.
        wait_until(lambda: len(servers(str(guest))) == 1)
        (server,) = servers(str(guest))
        for pid in daemons_of(server):
            os.kill(pid, signal.SIGKILL)
        ended = scratch / "run/kata-agent/v1.json"
        wait_until(lambda: json.loads(ended.read_text())["ending"])
        assert "virtiofsd of " in ctl("guest", "list").stdout
        assert servers(str(guest)) == []
        # Nothing waits for what cannot answer any more.
        for verb in (("exec", "v1", "--", "true"), ("stop", "v1"), ("rm", "-f", "v1")):
            assert ctl(*verb, timeout=30).returncode != 0
        assert ctl("guest", "stop", "v1", timeout=30).returncode == 0
    finally:
        ctl("guest", "stop", "--all")
        shutil.rmtree(scratch / "run")


def test_a_vm_of_the_commands_own_has_volumes(ctl: Ctl, tmp_path: Path) -> None:
    script = "echo up >/d/up; cat"
    options = ("--vm", "-i", "-v", f"{tmp_path}:/d")
    ran = ctl("run", *options, "--", "sh", "-c", script, input="in", timeout=300)
    assert (ran.stdout, ran.returncode) == ("in", 0)
    assert (tmp_path / "up").read_text() == "up\n"
