# SPDX-License-Identifier: Apache-2.0
"""Every promise in the README of Kata's agent, in a virtual machine."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kata_host.client import AgentClient
from kata_host.client.spec import default_process, default_spec, writable_layer
from kata_host.guest.image.store import Image
from kata_host.guest.vm_guest import VmGuest
from kata_protos import agent_pb2, oci_pb2
from tests.helpers import vm
from tests.helpers.shell import Shell
from ttrpc.errors import StatusError

pytestmark = [pytest.mark.vm, pytest.mark.slow]

F_GETPIPE_SZ = 1032
CALLS, LONG = 500, 8000
NO_DEVICE = "1f"
"""A slot of the root bus in which nothing is."""


@pytest.fixture(scope="module")
def pair(
    image: Image, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[VmGuest, VmGuest]]:
    """Two guests that boot side by side.

    The first has no cgroup option and an invalid hotplug timeout, the second has cgroup
    v2 and a timeout of ten seconds.
    """
    options = (
        ("agent.hotplug_timeout=bogus", "agent.debug_console_vport=1026"),
        (
            *("agent.hotplug_timeout=10s", "agent.debug_console_vport=1026"),
            "agent.unified_cgroup_hierarchy=true",
        ),
    )
    first, second = (
        vm.agent_guest(image, tmp_path_factory.mktemp("promises"), *words)
        for words in options
    )
    with vm.booted(first, second):
        yield first, second


def cgroup_version(guest: VmGuest) -> str:
    with Shell(vm.connect(guest.socket, vm.CONSOLE)) as shell:
        mounts = shell.run("grep ' /sys/fs/cgroup' /proc/mounts")
    types = {line.split()[2] for line in mounts.splitlines()}
    if types == {"cgroup2"}:
        return "v2"
    assert types == {"tmpfs", "cgroup"}, mounts
    return "v1"


# --- agent.log ---


def test_log_debug_lets_debug_messages_through(guest: VmGuest, shell: Shell) -> None:
    shell.run("true")
    assert '"level": "DEBG"' in "\n".join(guest.console_tail(1000))


# --- ports ---


async def test_the_api_is_on_port_1024(client: AgentClient, guest: VmGuest) -> None:
    assert guest.address.endswith(":1024")
    await client.check()


async def test_the_log_is_on_port_1025(guest: VmGuest, client: AgentClient) -> None:
    with vm.connect(guest.socket, vm.LOG) as connection:
        lines = connection.makefile("rb")
        first = json.loads(lines.readline())
        lines.close()
    assert first.keys() >= {"msg", "level", "ts", "name", "source", "subsystem", "pid"}
    assert (first["name"], first["source"]) == ("kata-agent", "agent")


async def test_unread_log_lines_are_bounded_and_counted(
    guest: VmGuest, client: AgentClient
) -> None:
    with vm.connect(guest.socket, vm.LOG) as connection:
        lines = connection.makefile("rb")
        lines.readline()
        # Nothing reads the log now. Each call is one line with its id, and together the
        # lines exceed the stream and all sockets on the way.
        request = agent_pb2.ListProcessesRequest(container_id="c" * LONG)

        async def call() -> None:
            with pytest.raises(StatusError):
                await client.agent.list_processes(request)

        for _ in range(CALLS // 50):
            await asyncio.gather(*(call() for _ in range(50)))
        dropped = 0
        while not dropped:
            line = json.loads(lines.readline())
            if line["msg"] == "log lines dropped":
                dropped = line["dropped"]
        lines.close()
    assert 0 < dropped < CALLS


# --- agent.debug_console_vport, agent.debug_console ---


def test_the_recipe_of_the_readme_gives_a_shell(guest: VmGuest) -> None:
    """`socat stdin unix-connect:<socket>`, then the line `CONNECT 1026`."""
    ours, theirs = os.openpty()
    try:
        command = ["socat", "stdin", f"unix-connect:{guest.socket}"]
        with subprocess.Popen(command, stdin=theirs, start_new_session=True) as socat:
            os.close(theirs)
            try:
                os.write(ours, b"CONNECT 1026\n")
                _read_until(ours, b"OK ")
                os.write(ours, b"echo $((6 * 7)); cat /proc/sys/kernel/ostype\n")
                _read_until(ours, b"42\r\nLinux\r\n")
                os.write(ours, b"exit\n")
                assert socat.wait(30) == 0
            finally:
                socat.kill()
    finally:
        os.close(ours)


def _read_until(terminal: int, text: bytes) -> None:
    seen = b""
    while text not in seen.replace(b"\r\r", b"\r"):
        seen += os.read(terminal, 65536)


def test_a_shell_ends_with_its_connection(guest: VmGuest, shell: Shell) -> None:
    with Shell(vm.connect(guest.socket, vm.CONSOLE)) as other:
        pid = other.run("echo $$")
        assert shell.run(f"kill -0 {pid} && echo runs") == "runs"
    shell.run(f"while kill -0 {pid} 2>/dev/null; do usleep 10000; done")


def test_shells_of_the_console_share_a_cgroup_of_version_2(shell: Shell) -> None:
    assert shell.run("cat /proc/self/cgroup") == "0::/kata-agent-shells"
    assert shell.run("cat /sys/fs/cgroup/kata-agent-shells/cpu.weight") == "10"
    assert "kata-agent-shells" not in shell.run("cat /proc/1/cgroup")


def test_the_console_comes_before_vsock_and_again_after_its_shell(
    image: Image, tmp_path: Path
) -> None:
    """`agent.debug_console`: a shell on the serial console, with job control.

    This guest has no vsock until its modules are loaded, and no cgroup v2.
    """
    options = ("agent.debug_console", "agent.unified_cgroup_hierarchy=0")
    guest = vm.guest_without_vsock(image, tmp_path, *options)
    try:
        guest.launch()
        with socket.socket(socket.AF_UNIX) as terminal:
            terminal.connect(str(guest.sockets.console))
            shell = Shell(terminal, patience=60)
            shell.until(r"# ")
            first = shell.run("echo $$")
            assert shell.run("tty").splitlines()[-1].startswith("/dev/pts/")
            assert "cgroup2" not in shell.run("cat /proc/mounts")
            own = shell.run("cat /proc/self/cgroup").splitlines()
            (cpu,) = (line for line in own if "cpu" in line.split(":")[1].split(","))
            assert cpu.endswith(":/kata-agent-shells")
            shell.type("exit\n")
            shell.until(r'"debug console opened".*\n')
            shell.until(r"# ")
            assert shell.run("echo $$") != first
            shell.run("modprobe vsock && modprobe vmw_vsock_virtio_transport")
            guest.wait_until_ready()
    finally:
        guest.stop()


# --- agent.devmode ---


def test_devmode_leaves_a_core_file_and_implies_debug(
    image: Image, tmp_path: Path
) -> None:
    init = Path(__file__).with_name("agent_init.sh")
    options = ("agent.devmode", "agent.debug_console_vport=1026")
    guest = vm.agent_guest_with_init(image, tmp_path, init, *options)
    with guest:
        assert '"level": "DEBG"' in "\n".join(guest.console_tail(1000))
        with Shell(vm.connect(guest.socket, vm.CONSOLE)) as shell:
            shell.type("kill -SEGV $(pidof kata-agent)\n")
            assert guest.wait(30) == 0
        tail = guest.console_tail(1000)
        assert "agent: status 139" in tail
        (core,) = (line for line in tail if line.startswith("core: "))
        _, size, name = core.split()
        assert int(size) > 1 << 20
        assert name.startswith("/run/core.kata-agent.")


# --- agent.hotplug_timeout ---


async def time_to_give_up(guest: VmGuest) -> tuple[float, StatusError]:
    async with AgentClient.connect(guest.address) as client:
        await client.create_sandbox("timeout")
        storage = agent_pb2.Storage(
            driver="blk",
            source=NO_DEVICE,
            fstype="ext4",
            mount_point="/run/kata-containers/disk",
        )
        started = time.monotonic()
        with pytest.raises(StatusError) as raised:
            await client.create_container("c-1", spec(["true"]), [storage])
        return time.monotonic() - started, raised.value


async def test_the_wait_for_a_device_is_as_long_as_the_option_says(
    pair: tuple[VmGuest, VmGuest],
) -> None:
    """`agent.hotplug_timeout=10s` is ten seconds, `=bogus` the default of three."""
    (bogus, error), (ten, _) = await asyncio.gather(*map(time_to_give_up, pair))
    assert NO_DEVICE in str(error)
    assert 2.9 < bogus < 9
    assert 9.9 < ten < 20


# --- agent.unified_cgroup_hierarchy ---


def test_without_an_option_cgroups_are_v1(pair: tuple[VmGuest, VmGuest]) -> None:
    assert cgroup_version(pair[0]) == "v1"


def test_unified_cgroup_hierarchy_true_is_v2(pair: tuple[VmGuest, VmGuest]) -> None:
    assert cgroup_version(pair[1]) == "v2"


def test_unified_cgroup_hierarchy_1_is_v2(guest: VmGuest) -> None:
    assert cgroup_version(guest) == "v2"


# --- agent.container_pipe_size ---


async def test_container_pipe_size_is_the_capacity_of_stdout_and_stderr(
    client: AgentClient,
) -> None:
    script = "import fcntl; print(*(fcntl.fcntl(fd, {}) for fd in (1, 2)))"
    command = ["python3", "-c", script.format(F_GETPIPE_SZ)]
    result = await client.run(command, rootfs="/")
    assert result.stdout.split() == [b"2097152", b"2097152"]


# --- cpuset ---


async def test_a_cpuset_that_the_guest_does_not_have_is_ignored(
    pair: tuple[VmGuest, VmGuest],
) -> None:
    """CPUs 2 to 4 on a guest with two CPUs, with cgroup v1 and v2."""
    for guest in pair:
        async with AgentClient.connect(guest.address) as client:
            command = ["grep", "Cpus_allowed_list", "/proc/self/status"]
            asked = spec(command)
            asked.Linux.Resources.CPU.Cpus = "2-4"
            storage, root = writable_layer("c-1", "/")
            asked.Root.Path = root
            async with client.started_container("c-1", asked, [storage]) as c:
                result = await c.init.communicate()
            assert (result.status, result.stdout.split()[-1]) == (0, b"0-1")


def spec(command: list[str], **fields: Any) -> oci_pb2.Spec:
    return default_spec("c-1", default_process(command), rootfs="/", **fields)
