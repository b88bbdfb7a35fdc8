# SPDX-License-Identifier: Apache-2.0
"""A client written with the Go library takes containers through their whole lives."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import json_format

from kata_agent.version import VERSION
from kata_host.guest.local_guest import LocalGuest
from kata_protos import oci_pb2
from tests.helpers.domain import make_rootfs
from tests.helpers.namespace import require_root

pytestmark = [pytest.mark.interop, pytest.mark.root, pytest.mark.timeout(300)]


@dataclass(frozen=True, slots=True)
class GoClient:
    """The Go program, and the bundle that it needs to run a command in a container."""

    program: Path
    address: str
    directory: Path
    rootfs: Path

    def run(self, container_id: str, *args: str) -> dict[str, Any]:
        spec = oci_pb2.Spec(Version="1.0.2")
        spec.Process.Args.extend(args)
        spec.Process.Env.append("PATH=/bin")
        spec.Process.Cwd = "/"
        spec.Root.Path = str(self.rootfs)
        for kind in ("mount", "pid", "ipc", "uts"):
            spec.Linux.Namespaces.add(Type=kind)
        spec.Mounts.add(destination="/proc", type="proc", source="proc")
        path = self.directory / f"{container_id}.json"
        path.write_text(json_format.MessageToJson(spec))
        done = subprocess.run(
            [self.program, "-addr", self.address, "-spec", path, "-id", container_id],
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr
        report: dict[str, Any] = json.loads(done.stdout)
        return report


@pytest.fixture
def guest() -> Iterator[LocalGuest]:
    require_root()
    with LocalGuest() as guest:
        yield guest


@pytest.fixture
def go_client(guest: LocalGuest, go_programs: Path, tmp_path: Path) -> GoClient:
    rootfs = make_rootfs(tmp_path / "rootfs")
    return GoClient(go_programs / "agent", guest.address, tmp_path, rootfs)


def test_the_life_of_a_container(go_client: GoClient, guest: LocalGuest) -> None:
    report = go_client.run("go1", "sh", "-c", "echo out; echo err >&2; exit 7")
    assert report == {
        "health": "SERVING",
        "version": VERSION,
        "stdout": "out\n",
        "stderr": "err\n",
        "status": 7,
    }
    # The sandbox was destroyed, and with it the guest has nothing left to do.
    assert guest.ending(timeout=20) is not None


def test_much_output(go_client: GoClient) -> None:
    report = go_client.run("much", "sh", "-c", "seq 100000")
    assert report["stdout"] == "".join(f"{number}\n" for number in range(1, 100_001))
