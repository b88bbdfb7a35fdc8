# SPDX-License-Identifier: Apache-2.0
"""The surroundings of a program that is started as the agent of a local guest."""

from __future__ import annotations

import os
from collections.abc import Sequence

import pytest

from kata_host.guest import local_cgroup
from kata_host.guest.local_guest import LocalGuest
from kata_host.guest.local_init import Plan, become_agent
from kata_host.guest.local_settings import LocalSettings
from kata_host.guest.local_syscall import CAP_SYS_BOOT, CAP_SYS_MODULE, CAP_SYS_TIME
from tests.helpers.namespace import require_root

pytestmark = pytest.mark.root
TIMEOUT = 20


@pytest.fixture(autouse=True)
def _root() -> None:
    require_root()


def output_of(script: str, *, parameters: Sequence[str] = ()) -> Sequence[str]:
    """Run a shell script as a guest's agent; return its output."""
    guest = LocalGuest(command=["/bin/sh", "-c", script], parameters=parameters)
    with guest:
        assert guest.ending(TIMEOUT) == "exit status 0"
        return guest.console_tail()


def test_the_capabilities_without_a_namespace_are_gone_for_good() -> None:
    (line,) = output_of("grep CapBnd /proc/self/status")
    bounding = int(line.split()[1], 16)
    for capability in (CAP_SYS_TIME, CAP_SYS_MODULE, CAP_SYS_BOOT):
        assert not bounding & 1 << capability


def test_the_command_line_of_the_kernel_is_the_guests() -> None:
    lines = output_of("cat /proc/cmdline", parameters=["agent.log=debug", "quiet"])
    assert lines == ["agent.log=debug quiet"]


def test_the_host_name_and_the_current_directory_are_the_guests() -> None:
    assert output_of("uname -n; pwd") == ["local-guest", "/"]


def test_sysfs_is_read_only_and_shared_memory_is_empty() -> None:
    assert output_of("touch /sys/x 2>/dev/null || echo refused; ls /dev/shm") == [
        "refused"
    ]


def test_mountinfo_lists_no_mount_that_a_new_one_covers() -> None:
    points = output_of("awk '{ print $5 }' /proc/self/mountinfo")
    assert points.count("/proc") == points.count("/run") == points.count("/sys") == 1


def test_an_agent_whose_supervisor_has_ended_is_not_started() -> None:
    settings = LocalSettings("/x", "/x/s", ["/bin/true"], {}, "auto", [], None, "/x/c")
    ours, ended = os.pipe()
    os.close(ended)
    reader, writer = os.pipe()
    pid = os.fork()
    if not pid:
        try:
            hierarchies = local_cgroup.hierarchies()
            become_agent(Plan(settings, hierarchies, "none", 1, ours))
        except BaseException as error:
            os.write(writer, str(error).encode())
        finally:
            os._exit(0)
    os.close(writer)
    with open(reader) as file:
        assert file.read() == "local guest: supervisor has ended"
    os.waitpid(pid, 0)
    os.close(ours)
