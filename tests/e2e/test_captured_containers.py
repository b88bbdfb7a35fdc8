# SPDX-License-Identifier: Apache-2.0
"""Containers that real runtimes asked for are as they asked, seen from inside.

Each captured CreateContainer is sent to a local guest. Three things differ: the root
file system is a storage more, the files that the host would share come by CopyFile, and
the program prints the state of its process in place of its own work.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from kata_host.client import AgentClient
from kata_protos import agent_pb2
from tests.helpers.capability_mask import mask
from tests.helpers.captured_world import HOSTNAME, REQUESTS, World, adapted, output_of

NO_FORKS: Final = "runtime-rs-client-4"
"""Has a filter that lets one program run (`test_captured_runs.py`)."""
MKNOD: Final = mask(["MKNOD"])
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


@pytest.mark.parametrize("name", [name for name in REQUESTS if name != NO_FORKS])
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
