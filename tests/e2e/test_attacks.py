# SPDX-License-Identifier: Apache-2.0
"""Attacks of containers and their images on other agents and runtimes, tried on ours.

Each test is one attack, as an image or a process in a container would try it. The name
in brackets is the report of the attack.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from kata_host.client import AgentClient, GuestContainer, Result
from kata_host.client.spec import (
    CAPABILITIES,
    default_process,
    default_spec,
    writable_layer,
)
from kata_host.guest.local_guest import LocalGuest
from kata_protos import agent_pb2, oci_pb2
from ttrpc.errors import Code, StatusError

SECRET = "only the guest may read this"


@pytest.fixture
def rootfs(guest: LocalGuest) -> Path:
    """Return the image's directory. Files beside it are not for the container."""
    (guest.directory / "secret").write_text(SECRET)
    (guest.directory / "outside").mkdir()
    return guest.directory / "rootfs"


@pytest.fixture
def outside(guest: LocalGuest) -> Iterator[Path]:
    """Return a directory of the guest, which must be empty after the test."""
    directory = guest.directory / "outside"
    yield directory
    assert list(directory.iterdir()) == []


def spec_of(rootfs: Path, *args: str, terminal: bool = False) -> oci_pb2.Spec:
    process = default_process(args, terminal=terminal)
    return default_spec("c1", process, rootfs=str(rootfs))


def grant(process: oci_pb2.Process, *capabilities: str) -> None:
    held = process.Capabilities
    for each in (held.Bounding, held.Effective, held.Permitted):
        each.extend(capabilities)


async def run(client: AgentClient, spec: oci_pb2.Spec) -> Result:
    """Run a container to its end. Raises `StatusError` if it does not start."""
    container = await client.create_container("c1", spec, share_pids=False)
    try:
        await container.start()
        return await container.init.communicate()
    finally:
        await container.remove()


async def sleeper(client: AgentClient, rootfs: Path, *granted: str) -> GuestContainer:
    spec = spec_of(rootfs, "sleep", "1000")
    grant(spec.Process, *granted)
    container = await client.create_container("c1", spec, share_pids=False)
    await container.start()
    return container


async def inside(container: GuestContainer, script: str) -> str:
    process = default_process(["sh", "-c", script])
    result = await (await container.exec("inside", process)).communicate()
    return (result.stdout + result.stderr).decode()


async def test_no_file_descriptor_of_the_agent_leaks(
    client: AgentClient, rootfs: Path
) -> None:
    """[CVE-2024-21626]"""
    script = "ls /proc/self/fd"
    result = await run(client, spec_of(rootfs, "sh", "-c", script))
    # `ls` itself opens the fourth, for the directory.
    assert result.stdout.split() == [b"0", b"1", b"2", b"3"]
    container = await sleeper(client, rootfs)
    assert (await inside(container, script)).split() == ["0", "1", "2", "3"]
    await container.remove()


async def test_a_working_directory_never_leads_outside(
    client: AgentClient, rootfs: Path
) -> None:
    """[CVE-2024-21626, Kata #13587]"""
    script = (
        "for up in . .. ../.. ../../.. ../../../..; do "
        "for path in secret guest/secret tmp/*/guest/secret; do "
        "cat $up/$path 2>/dev/null; done; done; true"
    )
    (rootfs / "link").symlink_to("/proc/self/fd/7")
    (rootfs / "up").symlink_to("../../../../../..")
    container = await sleeper(client, rootfs)
    directories = [f"/proc/self/fd/{number}" for number in range(16)]
    directories += ["/proc/1/cwd", "/proc/1/root", "/link", "/up/..", "/../../.."]
    for number, directory in enumerate(directories):
        process = default_process(["sh", "-c", script], cwd=directory)
        try:
            executed = await container.exec(f"e{number}", process)
        except StatusError:
            continue
        result = await executed.communicate()
        assert SECRET.encode() not in result.stdout, directory
    await container.remove()
    for directory in directories:
        spec = spec_of(rootfs, "sh", "-c", script)
        spec.Process.Cwd = directory
        try:
            result = await run(client, spec)
        except StatusError:
            continue
        assert SECRET.encode() not in result.stdout, directory


@pytest.mark.parametrize(
    "target", ["../outside", "../../../../../../../tmp", "/proc/1/root", "/proc/1/cwd"]
)
async def test_a_mount_stays_in_the_image(
    client: AgentClient, rootfs: Path, outside: Path, target: str
) -> None:
    """[CVE-2019-19921, CVE-2021-30465, CVE-2023-27561]"""
    (rootfs / "way").symlink_to(target)
    spec = spec_of(rootfs, "true")
    spec.Mounts.add(destination="/way/in", type="tmpfs", source="tmpfs")
    spec.Mounts.add(
        destination="/way/file",
        type="bind",
        source=str(rootfs / "etc" / "hosts"),
        options=["bind"],
    )
    try:
        await run(client, spec)
    except StatusError:
        pass
    assert not Path("/tmp/in").exists()
    assert not Path("/tmp/file").exists()


async def test_a_dev_of_the_image_is_not_used(
    client: AgentClient, rootfs: Path, outside: Path
) -> None:
    """[CVE-2025-31133, CVE-2025-52565, CVE-2026-47766, CVE-2026-88264]"""
    dev = rootfs / "dev"
    for name in ("null", "console", "ptmx", "pts", "shm", "full"):
        (dev / name).symlink_to(f"../../outside/{name}")
    # Without the /dev mount that runtimes request.
    spec = spec_of(
        rootfs,
        "sh",
        "-c",
        "tty; echo size $(cat /proc/kcore | wc -c); echo x >/dev/null",
    )
    kept = [mount for mount in spec.Mounts if not mount.destination.startswith("/dev")]
    del spec.Mounts[:]
    spec.Mounts.extend(kept)
    spec.Process.Terminal = True
    result = await run(client, spec)
    assert result.status == 0
    # A terminal has one output, of which both readers get parts.
    output = result.stdout + result.stderr
    assert b"/dev/" in output
    assert b"size 0\r\n" in output


async def test_a_proc_of_the_image_is_not_used(
    client: AgentClient, rootfs: Path
) -> None:
    """[CVE-2019-16884, CVE-2025-52881]"""
    (rootfs / "proc").rmdir()
    (rootfs / "elsewhere").mkdir()
    (rootfs / "proc").symlink_to("elsewhere")
    script = "cat /proc/self/status /proc/kcore 2>/dev/null | grep -c Name"
    try:
        result = await run(client, spec_of(rootfs, "sh", "-c", script))
    except StatusError:
        return
    # If the container starts, it has a real /proc with the masked files.
    assert result.stdout == b"1\n"


async def test_a_program_cannot_reach_the_runtime_that_starts_it(
    client: AgentClient, rootfs: Path
) -> None:
    """[CVE-2019-5736]"""
    crun = Path(shutil.which("crun") or "")
    before = hashlib.sha256(crun.read_bytes()).digest()
    script = rootfs / "bin" / "evil"
    script.write_text("#!/proc/self/exe\n")
    script.chmod(0o755)
    (rootfs / "bin" / "self").symlink_to("/proc/self/exe")
    container = await sleeper(client, rootfs, "CAP_SYS_PTRACE", "CAP_DAC_OVERRIDE")
    for number, program in enumerate(("/bin/evil", "/bin/self", "/proc/self/exe")):
        try:
            executed = await container.exec(f"e{number}", default_process([program]))
        except StatusError:
            continue
        await executed.communicate()
    watch = "for p in /proc/[0-9]*; do (echo x > $p/exe) 2>/dev/null; done; echo done"
    assert "done" in await inside(container, watch)
    await container.remove()
    assert hashlib.sha256(crun.read_bytes()).digest() == before


async def test_a_faked_proc_gives_an_exec_no_capabilities(
    client: AgentClient, rootfs: Path
) -> None:
    """[Kata #13615: capabilities read from a /proc under the container's control]"""
    container = await sleeper(client, rootfs, "CAP_SYS_ADMIN")
    fake = (
        "mkdir -p /dev/shm/p/sys/kernel /dev/shm/p/1/ns /dev/shm/p/self && "
        "echo 63 > /dev/shm/p/sys/kernel/cap_last_cap && "
        "for n in mnt pid user; do ln -s /proc/self/ns/$n /dev/shm/p/1/ns/$n; done; "
        "echo allow > /dev/shm/p/self/setgroups; mkdir /dev/shm/p/self/fd; "
        "mount --bind /dev/shm/p /proc && echo faked"
    )
    assert "faked" in await inside_with(container, fake, "CAP_SYS_ADMIN")
    # The faked /proc shows no process, so the container mounts a second one.
    look = "mkdir -p /tmp/proc; mount -t proc proc /tmp/proc; cat /tmp/proc/self/status"
    status = await inside_with(container, look, "CAP_SYS_ADMIN")
    bounding = int(status.split("CapBnd:")[1].split()[0], 16)
    assert bounding.bit_count() == len(CAPABILITIES) + 1
    await container.remove()


async def inside_with(
    container: GuestContainer, script: str, *capabilities: str
) -> str:
    process = default_process(["sh", "-c", script])
    grant(process, *capabilities)
    result = await (await container.exec("inside", process)).communicate()
    return (result.stdout + result.stderr).decode()


async def test_a_process_that_leaves_its_cgroup_dies_with_the_container(
    client: AgentClient, rootfs: Path
) -> None:
    """The process makes cgroups below its own, and freezes itself in one of them."""
    spec = spec_of(rootfs, "sleep", "1000")
    grant(spec.Process, "CAP_SYS_ADMIN")
    container = await client.create_container("c1", spec, share_pids=False)
    await container.start()
    script = (
        "cd /sys/fs/cgroup; for c in freezer pids; do mount -o remount,rw $c; "
        "mkdir $c/below && echo $$ > $c/below/cgroup.procs; done; echo below; "
        "echo FROZEN > freezer/below/freezer.state; sleep 1000"
    )
    process = default_process(["sh", "-c", script])
    grant(process, "CAP_SYS_ADMIN")
    executed = await container.exec("e1", process)
    first = await anext(executed.read_stdout())
    assert first == b"below\n"
    await container.kill()
    assert await executed.wait() == 137
    listed = await client.agent.list_processes(
        agent_pb2.ListProcessesRequest(container_id="c1", format="json")
    )
    assert json.loads(listed.process_list) == []
    await container.remove()


async def test_users_of_the_image_are_read_from_the_image(
    client: AgentClient, rootfs: Path
) -> None:
    """/etc/passwd is a link to a file of the guest."""
    (rootfs / "etc" / "passwd").unlink()
    (rootfs / "etc" / "passwd").symlink_to("../../secret")
    spec = spec_of(rootfs, "true")
    spec.Process.User.Username = "somebody"
    with pytest.raises(StatusError, match="user 'somebody'") as refused:
        await run(client, spec)
    assert SECRET not in refused.value.message


async def test_no_root_is_in_the_bundle_of_another_container(
    client: AgentClient, rootfs: Path
) -> None:
    storage, root = writable_layer("c1", str(rootfs))
    spec = default_spec("c1", default_process(["sleep", "1000"]), rootfs=root)
    await client.create_container("c1", spec, [storage], share_pids=False)
    for path in (root, "/run/kata-containers/c1", f"/run/../{root}/bin"):
        spec = default_spec("c2", default_process(["true"]), rootfs=path)
        with pytest.raises(StatusError, match="bundle of container 'c1'") as raised:
            await client.create_container("c2", spec, share_pids=False)
        assert raised.value.code is Code.INVALID_ARGUMENT
    assert (await client.run(["true"], rootfs=str(rootfs))).status == 0
