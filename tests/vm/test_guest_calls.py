# SPDX-License-Identifier: Apache-2.0
"""Calls about the guest itself: clock, randomness, files, modules, DNS, metrics."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import random
import signal
import stat
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from kata_agent.machine.virtiofs_refresh import TIMEOUT
from kata_host.client import AgentClient
from kata_host.client.upload import SHARED, upload
from kata_protos import agent_pb2
from kata_protos.agent_pb2 import CopyFileRequest, KernelModule, Storage
from tests.helpers import guest_container
from tests.helpers.plug import Plug
from tests.helpers.shell import Shell
from ttrpc.codes import Code
from ttrpc.errors import StatusError

pytestmark = [pytest.mark.vm, pytest.mark.slow]

TEN_YEARS = 10 * 365 * 24 * 3600
AGENT = """
    scrape_count threads total_time total_vm total_rss proc_status io_stat proc_stat
"""
GUEST = """
    load tasks cpu_time vm_stat netdev_stat diskstat meminfo filesystem_bytes
    filesystem_inodes
"""
FAMILIES = {f"kata_agent_{name}" for name in AGENT.split()} | {
    f"kata_guest_{name}" for name in GUEST.split()
}


# --- SetGuestDateTime ---


async def set_clock(client: AgentClient, seconds: int, microseconds: int = 0) -> None:
    await client.agent.set_guest_date_time(
        agent_pb2.SetGuestDateTimeRequest(Sec=seconds, Usec=microseconds)
    )


@pytest.fixture
async def clock(client: AgentClient) -> AsyncIterator[None]:
    """Sets the guest's clock to the right time at the end."""
    yield
    await set_clock(client, int(time.time()))


def guest_time(shell: Shell) -> int:
    return int(shell.run("date +%s"))


async def test_the_clock_steps(clock: None, client: AgentClient, shell: Shell) -> None:
    for wanted in (2_000_000_000, 1_000_000_000):
        await set_clock(client, wanted, 999_999)
        assert wanted <= guest_time(shell) < wanted + 60


async def test_deadlines_do_not_step_with_the_clock(
    clock: None, client: AgentClient
) -> None:
    request = guest_container.request("sleep 1000")
    async with guest_container.started(client, request) as container:

        async def wait(timeout: float) -> float:
            start = time.monotonic()
            with pytest.raises(StatusError) as ended:
                await client.agent.wait_process(
                    agent_pb2.WaitProcessRequest(container_id=container.id),
                    timeout=timeout,
                )
            assert ended.value.code == Code.DEADLINE_EXCEEDED
            return time.monotonic() - start

        waits = [asyncio.create_task(wait(timeout)) for timeout in (2, 3)]
        await client.check()
        now = int(time.time())
        await set_clock(client, now + TEN_YEARS)
        await client.check()
        assert not any(task.done() for task in waits)
        await set_clock(client, now - TEN_YEARS)
        short, long = await asyncio.gather(*waits)
        assert 2 <= short < 20
        assert 3 <= long < 20


@pytest.mark.parametrize(
    ("seconds", "microseconds"),
    [(-1, 0), (0, -1), (0, 1_000_000), (2**62, 0), (-(2**63), 0), (2**63 - 1, 0)],
)
async def test_an_invalid_time_changes_nothing(
    client: AgentClient, shell: Shell, seconds: int, microseconds: int
) -> None:
    before = guest_time(shell)
    with pytest.raises(StatusError, match=f"time {seconds} s") as refused:
        await set_clock(client, seconds, microseconds)
    assert refused.value.code == Code.INVALID_ARGUMENT
    assert before <= guest_time(shell) < before + 60


# --- ReseedRandomDev, GetGuestDetails ---


async def test_the_random_generator_takes_the_hosts_bytes(
    client: AgentClient,
) -> None:
    request = agent_pb2.ReseedRandomDevRequest(data=os.urandom(512))
    await client.agent.reseed_random_dev(request)
    with pytest.raises(StatusError, match="no entropy given"):
        await client.agent.reseed_random_dev(agent_pb2.ReseedRandomDevRequest())


async def test_the_details_are_those_of_the_guest(
    client: AgentClient, shell: Shell
) -> None:
    details = await client.agent.get_guest_details(
        agent_pb2.GuestDetailsRequest(mem_block_size=True, mem_hotplug_probe=True)
    )
    block = int(shell.run("cat /sys/devices/system/memory/block_size_bytes"), 16)
    assert details.mem_block_size_bytes == block
    # Debian's kernel learns of memory from ACPI, and has no file `probe`.
    assert not details.support_mem_hotplug_probe
    about = details.agent_details
    assert about.init_daemon
    assert about.supports_seccomp
    assert {"blk", "ephemeral", "local", "overlayfs", "scsi", "virtio-fs"} <= set(
        about.storage_handlers
    )
    unasked = await client.agent.get_guest_details(agent_pb2.GuestDetailsRequest())
    assert unasked.mem_block_size_bytes == 0


# --- CopyFile ---


async def test_a_tree_is_copied_with_owners_modes_and_links(
    client: AgentClient, shell: Shell, tmp_path: Path
) -> None:
    source = tmp_path / "tree"
    source.mkdir()
    (source / "a file").write_bytes(content := os.urandom(3_000_001))
    (source / "a file").chmod(0o640)
    (source / "program").write_text("#!/bin/sh\n")
    (source / "sticky").mkdir()
    (source / "sticky/link").symlink_to("../a file")
    (source / "dangling").symlink_to("/nonesuch")
    (source / "empty").touch(0o600)
    os.chown(source / "a file", 1000, 2000)
    os.chown(source / "dangling", 1001, 2001, follow_symlinks=False)
    os.chown(source / "program", 1002, 0)
    (source / "program").chmod(0o4755)
    (source / "sticky").chmod(0o3775)
    await upload(client.agent, source, f"{SHARED}/tree")
    try:
        names = "'a file' program sticky sticky/link dangling empty"
        said = shell.run(f"cd {SHARED}/tree && stat -c '%a %u %g %s %N' {names}")
        assert said.splitlines() == [
            f"640 1000 2000 {len(content)} a file",
            "4755 1002 0 10 program",
            said.splitlines()[2],
            "777 0 0 9 'sticky/link' -> '../a file'",
            "777 1001 2001 9 'dangling' -> '/nonesuch'",
            "600 0 0 0 empty",
        ]
        assert said.splitlines()[2].startswith("3775 0 0 ")
        digest = shell.run(f"sha256sum < {SHARED}/tree/sticky/link").split()[0]
        assert digest == hashlib.sha256(content).hexdigest()
    finally:
        shell.run(f"cd / && rm -r {SHARED}/tree")


async def test_chunks_come_in_any_order_and_the_file_all_at_once(
    client: AgentClient, shell: Shell
) -> None:
    content = random.Random(3).randbytes(5 << 20)
    path = f"{SHARED}/chunks"
    offsets = list(range(0, len(content), 1 << 20))
    random.Random(4).shuffle(offsets)
    try:
        for offset in offsets:
            assert shell.run(f"ls {path} 2>&1").endswith("No such file or directory")
            await client.agent.copy_file(
                CopyFileRequest(
                    path=path,
                    file_size=len(content),
                    file_mode=stat.S_IFREG | 0o644,
                    dir_mode=0o755,
                    offset=offset,
                    data=content[offset : offset + (1 << 20)],
                )
            )
        digest = shell.run(f"sha256sum < {path}").split()[0]
        assert digest == hashlib.sha256(content).hexdigest()
    finally:
        shell.run(f"rm -f {path}")


@pytest.mark.parametrize("target", ["/etc", "../../../../../etc", "/proc/1/root"])
async def test_a_planted_symlink_leads_nowhere(
    client: AgentClient, shell: Shell, target: str
) -> None:
    """CVE-2026-41326; the target is the guest's own /etc."""
    shell.run(f"mkdir -p {SHARED} && ln -s {target} {SHARED}/link")
    try:
        request = CopyFileRequest(
            path=f"{SHARED}/link/hosts", file_size=4, file_mode=0o100644, data=b"evil"
        )
        with pytest.raises(StatusError, match="leaves the shared directory") as refused:
            await client.agent.copy_file(request)
        assert refused.value.code == Code.INVALID_ARGUMENT
        assert "evil" not in shell.run("cat /etc/hosts")
    finally:
        shell.run(f"rm {SHARED}/link")


async def test_a_container_that_swaps_a_directory_for_a_symlink_during_a_copy(
    client: AgentClient, shell: Shell
) -> None:
    """The container owns a shared directory in which the host copies and mounts."""
    outside, attack = "/run/outside", f"{SHARED}/attack"
    shell.run(f"mkdir -p {outside} {attack}")
    script = f"""
        cd {guest_container.VOLUME}
        while :; do
            mkdir -p d; rm -rf d; ln -s {outside} d; rm d
            mkdir d; mkdir d/inner; ln -s ../../../../../outside d/link; rm -rf d
        done
    """
    volume = guest_container.bind(attack)
    request = guest_container.request(script, mounts=[volume])
    memory = Storage(
        driver="ephemeral",
        source="tmpfs",
        fstype="tmpfs",
        mount_point=f"{attack}/d/inner",
    )
    mounts = agent_pb2.UpdateEphemeralMountsRequest(storages=[memory])
    done = refused = 0
    async with guest_container.started(client, request):
        for number in range(60):
            copy = CopyFileRequest(
                path=f"{attack}/d/evil{number}",
                file_mode=(stat.S_IFREG if number % 2 else stat.S_IFDIR) | 0o755,
                data=b"evil" if number % 2 else b"",
                file_size=4 if number % 2 else 0,
            )
            try:
                await client.agent.copy_file(copy)
                if number % 3 == 0:
                    await client.agent.update_ephemeral_mounts(mounts)
                done += 1
            except StatusError:
                refused += 1
        assert shell.run(f"ls -A {outside}") == ""
        assert outside not in shell.run("cat /proc/mounts")
    assert done
    assert refused
    # The mounts that are left do not keep the sandbox from being destroyed.
    await client.create_sandbox("vm")
    mounted = f"$(grep -o '{SHARED}/attack[^ ]*' /proc/mounts)"
    shell.run(f"umount {mounted}; rm -r {attack} {outside}")


# --- CreateSandbox: kernel modules and DNS ---


@pytest.fixture
async def sandbox_again(client: AgentClient) -> AsyncIterator[None]:
    """Restores the shared sandbox at the end."""
    yield
    await client.create_sandbox("vm")


async def test_kernel_modules_are_loaded_with_their_parameters(
    sandbox_again: None, client: AgentClient, shell: Shell
) -> None:
    module = KernelModule(name="dummy", parameters=["numdummies=2"])
    request = agent_pb2.CreateSandboxRequest(kernel_modules=[module])
    try:
        await client.agent.create_sandbox(request)
        assert shell.run("ls /sys/class/net | grep dummy") == "dummy0\ndummy1"
    finally:
        shell.run("rmmod dummy")


@pytest.mark.parametrize(
    ("name", "parameters", "code", "words"),
    [
        ("nonesuch", [], Code.INTERNAL, "kernel module 'nonesuch': .*not found"),
        ("dummy", ["numdummies=x"], Code.INTERNAL, "kernel module 'dummy': .*nvalid"),
        ("", [], Code.INVALID_ARGUMENT, "kernel module '': invalid name"),
        ("-r", ["dummy"], Code.INVALID_ARGUMENT, "kernel module '-r': invalid name"),
        ("../../tmp/x.ko", [], Code.INTERNAL, "kernel module '../../tmp/x.ko'"),
    ],
)
async def test_a_module_that_cannot_be_loaded_is_named(
    sandbox_again: None,
    client: AgentClient,
    name: str,
    parameters: list[str],
    code: Code,
    words: str,
) -> None:
    module = KernelModule(name=name, parameters=parameters)
    with pytest.raises(StatusError, match=words) as refused:
        await client.agent.create_sandbox(
            agent_pb2.CreateSandboxRequest(kernel_modules=[module])
        )
    assert refused.value.code == code


async def test_name_servers_are_the_guest_s_for_the_sandbox(
    sandbox_again: None, client: AgentClient, shell: Shell
) -> None:
    before = shell.run("cat /etc/resolv.conf")
    lines = ["nameserver 10.96.0.10", "search a.local b.local ", "options ndots:5"]
    await client.agent.create_sandbox(agent_pb2.CreateSandboxRequest(dns=lines))
    shown = shell.run("cat /etc/resolv.conf").splitlines()
    assert shown == [line.strip() for line in lines]
    await client.agent.create_sandbox(agent_pb2.CreateSandboxRequest())
    assert shell.run("cat /etc/resolv.conf") == before


# --- GetMetrics ---


async def test_metrics_are_all_there_and_true(
    client: AgentClient, shell: Shell
) -> None:
    async def scrape() -> dict[str, dict[tuple[str, ...], float]]:
        page = (await client.agent.get_metrics(agent_pb2.GetMetricsRequest())).metrics
        return {
            family.name: {
                tuple(label for _, label in sorted(sample.labels.items())): sample.value
                for sample in family.samples
            }
            for family in text_string_to_metric_families(page)
        }

    # The guest's own disk is read-only, so only a container's layer can fill up.
    request = guest_container.request("sleep 1000")
    async with guest_container.started(client, request) as container:
        first, second = await scrape(), await scrape()
    assert set(second) >= FAMILIES
    rootfs = f"/run/kata-containers/{container.id}/rootfs"
    space = second["kata_guest_filesystem_bytes"]
    assert space["overlay", "total", rootfs] > space["overlay", "available", rootfs]
    count = "kata_agent_scrape_count"
    assert second[count][()] == first[count][()] + 1
    kib = int(shell.run("grep MemTotal: /proc/meminfo").split()[1])
    assert second["kata_guest_meminfo"]["mem_total",] == kib * 1024
    cpus = {cpu for cpu, _ in second["kata_guest_cpu_time"]}
    assert {"total", "0", "1"} <= cpus
    assert ("lo", "recv_bytes") in second["kata_guest_netdev_stat"]
    assert second["kata_guest_diskstat"]["vda", "sectors_read"] > 0
    assert second["kata_agent_proc_status"]["vmrss",] > 0
    assert set(second["kata_guest_load"]) == {("load1",), ("load5",), ("load15",)}
    assert set(second["kata_guest_tasks"]) == {("cur",), ("max",)}
    rss = second["kata_agent_total_rss"][()]
    # Most of a scrape's time is prometheus_client's.
    assert 8 << 20 < rss < 64 << 20


# --- RemoveStaleVirtiofsShareMounts ---


async def refresh(client: AgentClient) -> None:
    await client.agent.remove_stale_virtiofs_share_mounts(
        agent_pb2.RemoveStaleVirtiofsShareMountsRequest()
    )


async def test_a_share_whose_server_hangs_delays_no_other_call(
    client: AgentClient, plug: Plug, tmp_path: Path
) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    (shared / "file").write_text("text")
    daemon = plug.share(shared, "share", "rp0")
    storage = Storage(
        driver="virtio-fs",
        source="share",
        fstype="virtiofs",
        mount_point=f"{SHARED}/share",
    )
    request = guest_container.request("sleep 1000", storages=[storage])
    async with guest_container.started(client, request) as container:
        inside = f"cat {guest_container.VOLUME}/file"
        assert await guest_container.inside(client, container, inside) == "text"
        (shared / "file").unlink()
        await refresh(client)
        with _stopped(daemon.pid):
            start = time.monotonic()
            refreshing = asyncio.create_task(refresh(client))
            while not refreshing.done():
                begin = time.monotonic()
                await client.check()
                assert time.monotonic() - begin < 3
                await asyncio.sleep(0.05)
            await refreshing
            # The agent gave up on the share because its server did not answer.
            assert TIMEOUT <= time.monotonic() - start < TIMEOUT + 15
        await refresh(client)


@contextlib.contextmanager
def _stopped(pid: int) -> Iterator[None]:
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)
