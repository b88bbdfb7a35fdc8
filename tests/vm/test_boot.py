# SPDX-License-Identifier: Apache-2.0
"""The agent as PID 1, from the first mount to the power-off."""

from __future__ import annotations

import json
import re

import pytest

from kata_host.client import AgentClient
from kata_host.guest.image.store import Image
from kata_host.guest.vm_guest import VmGuest
from tests.helpers import vm
from tests.helpers.shell import Shell

pytestmark = [pytest.mark.vm, pytest.mark.slow]

BAD_OPTIONS = (
    *("agent.log=loud", "agent.hotplug_timeout=-1", "agent.nothing=1", "agent.trace="),
    *("agent.container_pipe_size=x", "agent.config_file=/no/such/file", "=", "agent."),
)
ORPHANS = 20


def announcement(guest: VmGuest) -> dict[str, object]:
    lines = (line for line in guest.console_tail(5000) if '"announce"' in line)
    fields: dict[str, object] = json.loads(next(lines))
    return fields


def test_file_systems_are_mounted(shell: Shell) -> None:
    lines = shell.run("cat /proc/mounts").splitlines()
    mounts = {
        point: (kind, options) for _, point, kind, options, *_ in map(str.split, lines)
    }
    closed = {"nosuid", "nodev", "noexec"}
    for point, kind, wanted in (
        ("/proc", "proc", closed),
        ("/sys", "sysfs", closed),
        ("/dev", "devtmpfs", set()),
        ("/dev/pts", "devpts", {"nosuid", "noexec"}),
        ("/dev/shm", "tmpfs", {"nosuid", "nodev"}),
        ("/run", "tmpfs", {"nosuid", "nodev"}),
        ("/sys/fs/cgroup", "cgroup2", closed),
    ):
        found, options = mounts[point]
        assert found == kind
        assert set(options.split(",")) >= wanted, point


def test_the_host_name_the_terminal_and_the_loopback_are_set(shell: Shell) -> None:
    assert shell.run("readlink /dev/ptmx") == "pts/ptmx"
    # Fields 6 and 5 of stat: the agent leads a session and a process group.
    assert shell.run("cut -d' ' -f5,6 /proc/1/stat") == "1 1"
    assert shell.run("cat /proc/1/comm") == "kata-agent"
    assert shell.run("ping -c 1 -w 10 127.0.0.1 >/dev/null; echo $?") == "0"
    controllers = shell.run("cat /sys/fs/cgroup/cgroup.subtree_control").split()
    assert {"cpu", "cpuset", "memory", "pids", "io"} <= set(controllers)


def test_the_announcement_says_how_long_the_boot_took(guest: VmGuest) -> None:
    fields = announcement(guest)
    before, own = fields["before_agent_ms"], fields["agent_ms"]
    assert isinstance(before, int)
    assert isinstance(own, int)
    assert 0 < before < 60_000
    assert 0 < own < 60_000


def test_orphans_are_reaped(shell: Shell) -> None:
    """Processes whose parents ended first leave no zombie."""
    shell.run(f"for n in $(seq {ORPHANS}); do (sleep 0.05 & sleep 0.05 &); done")
    gone = "while ps -o comm | grep -q '^sleep'; do usleep 10000; done"
    assert shell.run(f"{gone}; ps -o stat | grep -c Z") == "0"


async def test_a_key_on_the_console_does_not_end_the_guest(
    client: AgentClient, shell: Shell
) -> None:
    for name in ("INT", "QUIT", "HUP", "PIPE", "USR1", "KILL", "STOP"):
        shell.run(f"kill -{name} 1")
        await client.check()


async def test_bad_options_cost_a_warning_each_and_sigterm_powers_off(
    image: Image, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """One option is `agent.unified_cgroup_hierarchy=false`, for cgroup v1."""
    words = (
        *BAD_OPTIONS,
        "agent.unified_cgroup_hierarchy=false",
        "agent.log_vport=1025",
    )
    directory = tmp_path_factory.mktemp("options")
    words = (*words, "agent.debug_console_vport=1026")
    with vm.agent_guest(image, directory, *words) as guest:
        async with AgentClient.connect(guest.address) as client:
            await client.check()
        text = "\n".join(guest.console_tail(5000))
        warned = re.findall(r'"msg": "(?:option \'|/no/such)[^"]*"', text)
        assert len(warned) == 6, text
        config = announcement(guest)["config"]
        assert config == {
            "debug_console": True,
            "debug_console_vport": 1026,
            "log_vport": 1025,
        }
        with Shell(vm.connect(guest.socket, vm.CONSOLE)) as shell:
            kinds = shell.run("grep /sys/fs/cgroup /proc/mounts").split()
            assert "cgroup" in kinds
            assert "cgroup2" not in kinds
            shell.type("kill -TERM 1\n")
            assert guest.wait(30) == 0
        assert guest.ending() == "qemu ended with status 0"
