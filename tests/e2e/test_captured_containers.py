# SPDX-License-Identifier: Apache-2.0
"""Containers that real runtimes asked for are as they asked, seen from inside.

Each captured CreateContainer is sent to a local guest. Three things differ: the root
file system is a storage more, the files that the host would share come by CopyFile, and
the program prints the state of its process in place of its own work.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import socket
from collections.abc import AsyncIterator, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from kata_host.client import AgentClient, GuestContainer
from kata_host.client.identifier import new_id
from kata_host.client.spec import writable_layer
from kata_host.ctl.rootfs import make_busybox
from kata_host.guest.local_cgroup import hierarchies
from kata_host.guest.local_guest import CONSOLE_NAME, LocalGuest
from kata_protos import agent_pb2, oci_pb2
from tests.e2e.conftest import PATIENCE, traces_of
from tests.helpers.captured import copies_for, create_container_requests
from tests.helpers.namespace import require_root
from ttrpc.errors import StatusError

REQUESTS: Final = create_container_requests()
SHARED: Final = "/run/kata-containers/shared/containers/"
SHM: Final = "/run/kata-containers/sandbox/shm"
HOSTNAME: Final = "podhost"
"""As the captured sandboxes have it."""

NUMBERS: Final = {
    "CHOWN": 0,
    "DAC_OVERRIDE": 1,
    "FOWNER": 3,
    "FSETID": 4,
    "KILL": 5,
    "SETGID": 6,
    "SETUID": 7,
    "SETPCAP": 8,
    "NET_BIND_SERVICE": 10,
    "NET_RAW": 13,
    "SYS_CHROOT": 18,
    "MKNOD": 27,
    "AUDIT_WRITE": 29,
    "SETFCAP": 31,
}
"""linux/capability.h, those that the runtimes ask for."""
MKNOD: Final = 1 << NUMBERS["MKNOD"]
CAP_SYS_RESOURCE: Final = 1 << 24

PRINT: Final = """
for file in status limits mountinfo; do echo "@$file"; cat /proc/self/$file; done
echo @environment; env
echo @place; pwd; hostname
echo @masked
for path in {masked}; do
    if [ -d $path ]; then ls -A $path; elif [ -e $path ]; then head -c 1 $path; fi
done
echo @readonly
for path in {readonly}; do if [ -e $path ]; then echo $path; fi; done
echo @memory
cd /sys/fs/cgroup 2>/dev/null &&
    cat memory/memory.limit_in_bytes memory.max 2>/dev/null
echo @cpu
cat cpu/cpu.cfs_quota_us cpu/cpu.cfs_period_us cpu/cpu.shares cpu.max 2>/dev/null
echo @end
"""


@dataclass(frozen=True, slots=True)
class Seen:
    """The sections that the program in the container printed."""

    sections: dict[str, list[str]]

    @classmethod
    def parse(cls, output: str) -> Seen:
        sections: dict[str, list[str]] = {}
        for line in output.replace("\r\n", "\n").splitlines():
            if line.startswith("@"):
                sections[line[1:]] = lines = []
            else:
                lines.append(line)
        assert "end" in sections, output
        return cls(sections)

    def status(self, field: str) -> list[str]:
        """Return the values of a line of /proc/self/status."""
        (line,) = (x for x in self.sections["status"] if x.startswith(f"{field}:"))
        return line.split()[1:]

    def mounts(self) -> dict[str, tuple[str, set[str]]]:
        """Return the type and all options of the topmost mount at each path."""
        found = {}
        for line in self.sections["mountinfo"]:
            left, _, right = line.partition(" - ")
            before, after = left.split(), right.split()
            found[before[4]] = (after[0], {*before[5].split(","), *after[2].split(",")})
        return found


@dataclass(frozen=True, slots=True)
class World:
    """A guest, and the one version of cgroups that it has."""

    guest: LocalGuest
    version: str

    @property
    def rootfs(self) -> Path:
        return self.guest.directory / "rootfs"


@pytest.fixture(scope="module", params=["v1-crun", "v2-crun", "v1-runc", "v2-runc"])
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    """One guest for all requests."""
    require_root()
    version, _, runtime = request.param.partition("-")
    if shutil.which(runtime) is None:
        missing = pytest.fail if os.environ.get("CI") else pytest.skip
        missing(f"needs {runtime}")
    try:
        hierarchies(version)
    except ValueError as error:
        pytest.skip(str(error))
    scratch = Path(f"/tmp/e2e-{os.urandom(4).hex()}")
    scratch.mkdir()
    with LocalGuest(
        scratch / "guest",
        environment={"KATA_AGENT_LOG_LEVEL": "debug"},
        cgroup=version,
        parameters=[f"agent.runtime={runtime}"],
    ) as guest:
        world = World(guest, version)
        make_busybox(world.rootfs)
        yield world
    assert not traces_of(scratch)
    shutil.rmtree(scratch)


@pytest.fixture
async def agent(world: World) -> AsyncIterator[AgentClient]:
    """A client, and the sandbox as the Go shim creates it."""
    async with AgentClient.connect(world.guest.address) as client:
        sandbox = agent_pb2.CreateSandboxRequest(sandbox_id="s1", hostname=HOSTNAME)
        sandbox.storages.add(
            driver="ephemeral",
            source="shm",
            fstype="tmpfs",
            options=["noexec", "nosuid", "nodev", "mode=1777", "size=67108864"],
            mount_point=SHM,
        )
        await client.agent.create_sandbox(sandbox)
        yield client


def adapted(name: str, rootfs: Path) -> agent_pb2.CreateContainerRequest:
    """Return a captured request that needs no more of the host than `rootfs`."""
    request = agent_pb2.CreateContainerRequest()
    request.CopyFrom(REQUESTS[name])
    layer, _ = writable_layer(request.container_id, os.fspath(rootfs))
    layer.mount_point = request.OCI.Root.Path
    request.storages.append(layer)
    return request


async def seen_in(
    client: AgentClient, request: agent_pb2.CreateContainerRequest
) -> Seen:
    """Run the container with a program that prints, and return what it printed."""
    linux = request.OCI.Linux
    script = PRINT.format(
        masked=" ".join(linux.MaskedPaths), readonly=" ".join(linux.ReadonlyPaths)
    )
    del request.OCI.Process.Args[:]
    request.OCI.Process.Args.extend(["sh", "-c", script])
    return Seen.parse(await output_of(client, request))


async def output_of(
    client: AgentClient, request: agent_pb2.CreateContainerRequest
) -> str:
    """Run the container to its end and return its standard output."""
    async with started(client, request) as container:
        chunks = [chunk async for chunk in container.init.read_stdout()]
    return b"".join(chunks).decode()


@contextlib.asynccontextmanager
async def started(
    client: AgentClient, request: agent_pb2.CreateContainerRequest
) -> AsyncIterator[GuestContainer]:
    """Create and start the container for the block, and remove it after."""
    for copy in copies_for(request, SHARED):
        await client.agent.copy_file(copy)
    await client.agent.create_container(request)
    container = client.container(request.container_id)
    try:
        await container.start()
        yield container
    finally:
        await container.remove()


def mask(names: Iterable[str]) -> int:
    """Return the set of capabilities as /proc/self/status has it."""
    return sum(1 << NUMBERS[name.removeprefix("CAP_")] for name in names)


def check_process(
    seen: Seen, request: agent_pb2.CreateContainerRequest, lost: int
) -> None:
    """Compare identity and rights; the guest cannot give the capabilities `lost`."""
    process = request.OCI.Process
    user, capabilities = process.User, process.Capabilities
    assert seen.status("Uid") == [str(user.UID)] * 4
    assert seen.status("Gid") == [str(user.GID)] * 4
    assert seen.status("Groups") == [str(gid) for gid in user.AdditionalGids]
    bounding = mask(capabilities.Bounding) & ~lost
    # exec keeps root's and takes away those of others (man 7 capabilities).
    effective = mask(capabilities.Effective) & ~lost if user.UID == 0 else 0
    assert int(*seen.status("CapBnd"), 16) == bounding != 0
    assert int(*seen.status("CapEff"), 16) == effective
    assert int(*seen.status("CapPrm"), 16) == effective
    assert int(*seen.status("CapInh"), 16) == mask(capabilities.Inheritable)
    assert int(*seen.status("CapAmb"), 16) == mask(capabilities.Ambient)
    assert seen.status("NoNewPrivs") == [str(int(process.NoNewPrivileges))]
    has_filter = request.OCI.Linux.HasField("Seccomp")
    assert seen.status("Seccomp") == (["2"] if has_filter else ["0"])
    for limit in process.Rlimits:
        assert limit.Type == "RLIMIT_NOFILE"
        (line,) = (x for x in seen.sections["limits"] if x.startswith("Max open files"))
        assert line.split()[3:5] == [str(limit.Soft), str(limit.Hard)]
    assert set(process.Env) <= set(seen.sections["environment"])
    assert seen.sections["place"] == [process.Cwd, HOSTNAME]


def check_mounts(seen: Seen, request: agent_pb2.CreateContainerRequest) -> None:
    mounts = seen.mounts()
    root = request.OCI.Root
    assert ("ro" in mounts["/"][1]) == root.Readonly
    # The last one at a path covers the others.
    for mount in {mount.destination: mount for mount in request.OCI.Mounts}.values():
        kind, options = mounts[mount.destination]
        if mount.type in ("bind", "local"):
            assert ("ro" in options) == ("ro" in mount.options), mount
            continue
        if mount.type != "cgroup":
            assert kind == mount.type
        elif kind == "tmpfs":
            # v1 has a file system for each controller.
            kind, options = mounts[f"{mount.destination}/memory"]
        restrictions = {"nosuid", "noexec", "nodev", "ro"} & set(mount.options)
        assert restrictions <= options, mount
        sizes = {option for option in mount.options if option.startswith("size=")}
        assert {size.replace("65536k", "64m") for size in sizes} <= {
            option.replace("65536k", "64m") for option in options
        }
    assert seen.sections["masked"] == []
    for path in seen.sections["readonly"]:
        assert "ro" in mounts[path][1], path
    linux = request.OCI.Linux
    covered = {path for path in mounts if path.startswith(("/proc/", "/sys/firmware"))}
    assert covered <= {*linux.MaskedPaths, *linux.ReadonlyPaths}
    assert bool(covered) == bool(linux.MaskedPaths)


def check_limits(seen: Seen, request: agent_pb2.CreateContainerRequest) -> None:
    """Compare the limits of the controllers that this machine's hierarchy has."""
    resources = request.OCI.Linux.Resources
    memory, cpu = seen.sections["memory"], seen.sections["cpu"]
    if memory:
        assert memory == [str(resources.Memory.Limit)] or not resources.Memory.Limit
    if cpu and resources.CPU.Quota:
        quota = [str(resources.CPU.Quota), str(resources.CPU.Period)]
        assert cpu in ([*quota, str(resources.CPU.Shares)], [" ".join(quota)])


@pytest.mark.parametrize("name", REQUESTS)
async def test_the_container_is_as_its_runtime_asked(
    agent: AgentClient, world: World, name: str
) -> None:
    request = adapted(name, world.rootfs)
    asked = agent_pb2.CreateContainerRequest()
    asked.CopyFrom(request)
    seen = await seen_in(agent, request)
    check_process(seen, asked, lost_capabilities(world))
    check_mounts(seen, asked)
    check_limits(seen, asked)


def lost_capabilities(world: World) -> int:
    """Return those that the agent takes away where it cannot install device rules."""
    unified = world.version == "v2"
    (line,) = (
        x
        for x in Path("/proc/self/status").read_text().splitlines()
        if x.startswith("CapEff:")
    )
    return MKNOD if unified and not int(line.split()[1], 16) & CAP_SYS_RESOURCE else 0


async def test_the_profile_of_runtime_rs_is_in_force(
    agent: AgentClient, world: World
) -> None:
    """Its own program: `grep Seccomp /proc/self/status; unshare -m true; echo $?`."""
    output = await output_of(agent, adapted("runtime-rs-seccomp-1", world.rootfs))
    assert output == "Seccomp:\t2\nSeccomp_filters:\t1\n1\n"


@pytest.mark.parametrize("version", ["1.2.0", "1.2.1", "1.3.0"])
async def test_a_spec_of_containerd_2_is_a_container(
    agent: AgentClient, world: World, version: str
) -> None:
    """crun before 1.14.2 refuses its versions of the OCI specification."""
    request = adapted("go-shim-cri-pod-6", world.rootfs)
    request.OCI.Version = version
    async with started(agent, request) as container:
        # The captured program: `exit 4`.
        assert await container.init.wait() == 4


async def test_an_exec_has_its_capabilities_in_every_form_of_a_name(
    agent: AgentClient, world: World
) -> None:
    request = adapted("runtime-rs-cri-pod-3", world.rootfs)
    names = ["NET_RAW", "CAP_KILL", "chown", '"SETUID"']
    sets = oci_pb2.LinuxCapabilities(Bounding=names, Effective=names, Permitted=names)
    async with started(agent, request) as container:
        show = oci_pb2.Process(
            Args=["/bin/grep", "Cap", "/proc/self/status"], Cwd="/", Capabilities=sets
        )
        output = (await (await container.exec("e1", show)).communicate()).stdout
        held = f"{mask(['NET_RAW', 'KILL', 'CHOWN', 'SETUID']):016x}"
        for name in ("CapEff", "CapPrm", "CapBnd"):
            assert f"{name}:\t{held}" in output.decode()
        show.Capabilities.Bounding.append("NET_ROW")
        with pytest.raises(StatusError, match="capability 'NET_ROW': unknown"):
            await container.exec("e2", show)


async def test_annotations_of_a_user_neither_replace_the_profile_nor_open_sockets(
    agent: AgentClient, world: World
) -> None:
    request = adapted("runtime-rs-seccomp-1", world.rootfs)
    # crun(1): a filter that allows all, and a socket for the pidfd of the container.
    request.OCI.Annotations["run.oci.seccomp_bpf_data"] = "BgAAAAAA/38="
    path = world.guest.directory / "receiver"
    request.OCI.Annotations["run.oci.pidfd_receiver"] = os.fspath(path)
    with socket.socket(socket.AF_UNIX) as receiver:
        receiver.bind(os.fspath(path))
        receiver.listen()
        receiver.setblocking(False)
        output = await output_of(agent, request)
        with pytest.raises(BlockingIOError):
            receiver.accept()
    path.unlink()
    assert output == "Seccomp:\t2\nSeccomp_filters:\t1\n1\n"


@pytest.mark.parametrize("runtime", ["go-shim", "runtime-rs"])
async def test_ps_in_a_pod_that_shares_pids_shows_a_pause_process(
    agent: AgentClient, world: World, runtime: str
) -> None:
    """As the captured sessions ask it, by an exec."""
    request = adapted(f"{runtime}-cri-pod-shared-pids-2", world.rootfs)
    async with started(agent, request) as container:
        ps = oci_pb2.Process(Args=["ps"], Env=request.OCI.Process.Env, Cwd="/")
        process = await container.exec("e1", ps)
        lines = (await process.communicate()).stdout.decode().splitlines()
    _, pause, init, _ = lines
    assert pause.split()[0] == "1"
    assert pause.endswith(" pause")
    assert init.endswith(" sleep 12345")


@pytest.mark.parametrize("runtime", ["go-shim", "runtime-rs"])
async def test_a_command_that_is_missing_is_one_line_of_the_log(
    agent: AgentClient, world: World, runtime: str
) -> None:
    """It has no traceback, because it is a user's mistake and no defect."""
    missing = adapted(f"{runtime}-cri-pod-7", world.rootfs)
    assert missing.OCI.Process.Args == ["/no/such"]
    for copy in copies_for(missing, SHARED):
        await agent.agent.copy_file(copy)
    before = await log_of(world, agent)
    with pytest.raises(StatusError, match="the file /no/such was not found"):
        await agent.agent.create_container(missing)
    after = await log_of(world, agent)
    check_one_line(after[len(before) :], "CreateContainer")

    running = adapted(f"{runtime}-cri-pod-4", world.rootfs)
    async with started(agent, running) as container:
        before = await log_of(world, agent)
        with pytest.raises(StatusError, match="the file /no/such was not found"):
            await container.exec("e1", oci_pb2.Process(Args=["/no/such"], Cwd="/"))
        after = await log_of(world, agent)
        check_one_line(after[len(before) :], "ExecProcess")


async def log_of(world: World, client: AgentClient) -> list[str]:
    """Return all lines that the agent has logged until now."""
    marker = new_id("marker")
    with contextlib.suppress(StatusError):
        await client.agent.stats_container(
            agent_pb2.StatsContainerRequest(container_id=marker)
        )
    console = world.guest.directory / CONSOLE_NAME
    async with asyncio.timeout(PATIENCE):
        while marker not in (text := console.read_text()):
            await asyncio.sleep(0.01)
    return text.splitlines()


def check_one_line(lines: list[str], method: str) -> None:
    assert not [line for line in lines if "Traceback" in line]
    (line,) = (json.loads(line) for line in lines if "/no/such" in line)
    assert (line["level"], line["msg"]) == ("ERRO", "call failed")
    assert (line["method"], line["code"]) == (method, "INTERNAL")
