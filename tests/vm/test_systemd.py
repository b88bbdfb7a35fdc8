# SPDX-License-Identifier: Apache-2.0
"""The agent from the tarball as a service of systemd, as in a Kata image."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from kata_host.client import AgentClient
from kata_host.guest import tarball
from kata_host.guest.image import build, store
from kata_host.guest.image.agent import HOME
from kata_host.guest.image.apt import AptSuite
from kata_host.guest.image.progress import Progress
from kata_host.guest.image.store import Image
from kata_host.guest.vm_guest import VmGuest
from tests.helpers import vm
from tests.helpers.shell import Shell

pytestmark = [pytest.mark.vm, pytest.mark.slow, pytest.mark.timeout(300)]

SYSTEMD = "/usr/lib/systemd/systemd"


@pytest.fixture(scope="module")
def systemd_image(tmp_path_factory: pytest.TempPathFactory) -> Image:
    """The guest image with Debian's systemd, and with the tarball's agent."""
    vm.require_image()
    image = build.ensure_current(Progress())
    directory = tmp_path_factory.mktemp("systemd")
    tree = directory / "tree"
    subprocess.run(["cp", "-a", "--reflink=auto", image.tree, tree], check=True)
    suite = AptSuite(build.USERLAND_SUITE, store.cache() / "apt" / build.USERLAND_SUITE)
    for package in suite.fetch(["systemd"]):
        _unpack(["dpkg-deb", "--fsys-tarfile", str(package)], tree)
    shutil.rmtree(tree / HOME)
    file = directory / "kata-agent.tar"
    tarball.make(image, file)
    _unpack(["cat", str(file)], tree)
    (tree / "etc/machine-id").touch()
    command = ["mkfs.erofs", "--quiet", "--all-root", directory / "root.erofs", tree]
    subprocess.run([str(word) for word in command], check=True, stdout=subprocess.PIPE)
    for name in ("vmlinux", "initrd", "manifest.json"):
        (directory / name).symlink_to(image.directory / name)
    return Image(directory)


def _unpack(reader: list[str], tree: Path) -> None:
    with subprocess.Popen(reader, stdout=subprocess.PIPE) as process:
        command = ["tar", "-x", "-C", str(tree), "--keep-directory-symlink"]
        subprocess.run(command, stdin=process.stdout, check=True)
    assert process.returncode == 0


@pytest.fixture
def systemd_guest(systemd_image: Image, tmp_path: Path) -> Iterator[VmGuest]:
    parameters = (
        f"guest_init={SYSTEMD}",
        "systemd.unit=kata-containers.target",
        "agent.debug_console_vport=1026",
    )
    # One CPU, because several emulated CPUs have locked up while the kernel patched
    # itself for systemd.
    guest = vm.agent_guest(systemd_image, tmp_path, *parameters, cpus=1, memory=1024)
    try:
        guest.launch()
        guest.wait_until_ready(200)
        yield guest
    finally:
        guest.stop()


async def test_the_service_runs_containers_and_powers_off_at_its_end(
    systemd_guest: VmGuest,
) -> None:
    async with AgentClient.connect(systemd_guest.address) as client:
        await client.create_sandbox("systemd")
        result = await client.run(["sh", "-c", "echo out; exit 7"], rootfs="/")
        assert (result.status, result.stdout) == (7, b"out\n")
        with Shell(vm.connect(systemd_guest.socket, vm.CONSOLE)) as shell:
            assert shell.run("cat /proc/1/comm") == "systemd"
            pid = shell.run("pidof kata-agent")
            assert pid != "1"
            assert shell.run(f"cat /proc/{pid}/oom_score_adj") == "-997"
            state = shell.run("systemctl is-active kata-agent.service tmp.mount")
            assert state.split() == ["active", "active"]
        await client.destroy_sandbox()
    assert systemd_guest.wait(60) == 0
