# SPDX-License-Identifier: Apache-2.0
"""`kata-agent-ctl run --vm`: a command in a VM, over real vsock."""

from __future__ import annotations

from pathlib import Path

import pytest

from kata_host.ctl.rootfs import make_busybox
from tests.e2e.conftest import Ctl
from tests.helpers.vm import require_image

pytestmark = [pytest.mark.vm, pytest.mark.slow]


@pytest.fixture(autouse=True)
def _image() -> None:
    require_image()


def test_a_command_runs_in_a_vm(ctl: Ctl) -> None:
    script = "cat; uname -r; echo err >&2; exit 7"
    arguments = ("run", "--vm", "-i", "--trace", "--", "sh", "-c", script)
    ran = ctl(*arguments, input="in\n", timeout=200)
    first, kernel = ran.stdout.splitlines()
    assert first == "in"
    assert kernel != Path("/proc/sys/kernel/osrelease").read_text().strip()
    error, top, *_ = ran.stderr.splitlines()
    assert error == "err"
    assert top.startswith("kata-agent-ctl run")
    assert ran.returncode == 7


def test_a_directory_of_the_host_is_copied_into_the_vm(
    ctl: Ctl, tmp_path: Path
) -> None:
    root = make_busybox(tmp_path / "root")
    (root / "mine").write_text("from the host\n")
    arguments = ("run", "--vm", "--rootfs", str(root), "--", "cat", "/mine")
    ran = ctl(*arguments, timeout=200)
    assert (ran.stdout, ran.stderr, ran.returncode) == ("from the host\n", "", 0)
