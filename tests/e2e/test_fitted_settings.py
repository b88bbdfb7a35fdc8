# SPDX-License-Identifier: Apache-2.0
"""Settings that a guest may be unable to make do not keep a container from running."""

from __future__ import annotations

from pathlib import Path

from kata_agent.oci.capabilities import CAPABILITIES
from kata_host.client import AgentClient
from kata_host.client.spec import default_process, default_spec, writable_layer
from kata_host.guest.local_guest import LocalGuest

NR_OPEN = int(Path("/proc/sys/fs/nr_open").read_text())
INFINITY = (1 << 64) - 1
SCRIPT = "ulimit -Hn; cat /proc/self/oom_score_adj"


async def test_a_container_and_an_exec_run_with_what_the_guest_can_give(
    client: AgentClient, guest: LocalGuest
) -> None:
    """containerd sends an infinite limit, kubelet the score, an SELinux host labels."""
    storage, root = writable_layer("c1", str(guest.directory / "rootfs"))
    process = default_process(["sh", "-c", f"{SCRIPT}; sleep 1000"])
    (files,) = [each for each in process.Rlimits if each.Type == "RLIMIT_NOFILE"]
    files.Hard = files.Soft = INFINITY
    process.Rlimits.add(Type="RLIMIT_MEMLOCK", Hard=INFINITY, Soft=INFINITY)
    process.OOMScoreAdj = -998
    process.SelinuxLabel = "system_u:system_r:container_t:s0:c1,c2"
    process.ApparmorProfile = "cri-containerd.apparmor.d"
    spec = default_spec("c1", process, rootfs=root)
    spec.Linux.MountLabel = "system_u:object_r:container_file_t:s0:c1,c2"
    spec.Linux.Resources.CPU.RealtimeRuntime = 950_000
    spec.Linux.Resources.CPU.RealtimePeriod = 1_000_000
    async with client.started_container("c1", spec, [storage]) as container:
        process.Args[2] = SCRIPT
        result = await (await container.exec("e1", process)).communicate()
        files_given, score = map(int, result.stdout.split())
        assert 0 < files_given <= NR_OPEN
        assert -998 <= score <= 0
        console = "\n".join(guest.console_tail(200))
    assert "resource limits lowered to those of the guest" in console
    assert "cpu.realtimeRuntime" in console
    assert (
        "cri-containerd.apparmor.d" in console or Path("/sys/module/apparmor").exists()
    )


async def test_a_privileged_pod_of_containerd_runs_with_all_that_the_agent_has(
    client: AgentClient, guest: LocalGuest
) -> None:
    storage, root = writable_layer("c1", str(guest.directory / "rootfs"))
    show = "grep CapEff /proc/self/status"
    process = default_process(["sh", "-c", f"{show} >/new; mv /new /held; sleep 1000"])
    held = process.Capabilities
    for names in (held.Bounding, held.Effective, held.Permitted, held.Inheritable):
        del names[:]
        names.extend(CAPABILITIES)
    async with client.started_container(
        "c1", default_spec("c1", process, rootfs=root), [storage]
    ) as container:
        process.Args[2] = f"until cat /held; do sleep 0.01; done; {show}"
        result = await (await container.exec("e1", process)).communicate()
        sets = [int(each, 16) for each in result.stdout.split()[1::2]]
    own = _own_capabilities()
    # A local guest's agent gives away those for the clock, modules and rebooting.
    assert sets == [own & ~(1 << 16 | 1 << 22 | 1 << 25)] * 2


def _own_capabilities() -> int:
    return next(
        int(line.split()[1], 16)
        for line in Path("/proc/self/status").read_text().splitlines()
        if line.startswith("CapEff:")
    )
