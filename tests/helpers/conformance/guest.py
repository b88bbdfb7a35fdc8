# SPDX-License-Identifier: Apache-2.0
"""The guest as a machine: its details, CPUs, memory, clock, files, swap, volumes."""

from __future__ import annotations

import asyncio
import stat
import time

from kata_host.client.upload import SHARED
from kata_protos import agent_pb2
from tests.helpers.conformance.case import Subject, case, stateless
from ttrpc.codes import Code

OK = Code.OK
INVALID = Code.INVALID_ARGUMENT
INTERNAL = Code.INTERNAL
NOT_FOUND = Code.NOT_FOUND
ABSENT = Code.UNIMPLEMENTED


# --- GetGuestDetails ---


@case("GetGuestDetails", "happy")
async def details(s: Subject) -> None:
    request = agent_pb2.GuestDetailsRequest(mem_block_size=True, mem_hotplug_probe=True)
    response = await s.agent.get_guest_details(request)
    assert response.agent_details.version
    # An agent may have been built without it, for runtimes that send no filters.
    assert response.agent_details.supports_seccomp or not s.is_ours
    assert "ephemeral" in response.agent_details.storage_handlers


stateless("GetGuestDetails", details)


# --- GetMetrics ---


@case("GetMetrics", "happy")
async def metrics(s: Subject) -> None:
    page = (await s.agent.get_metrics(agent_pb2.GetMetricsRequest())).metrics
    for family in ("kata_agent_threads", "kata_guest_load", "kata_guest_meminfo"):
        assert f"\n{family}" in page


stateless("GetMetrics", metrics)


# --- OnlineCPUMem, MemHotplugByProbe ---


@case("OnlineCPUMem", "happy")
async def all_is_online(s: Subject) -> None:
    await s.agent.online_cpu_mem(agent_pb2.OnlineCPUMemRequest(nb_cpus=1))


stateless("OnlineCPUMem", all_is_online)


@case("OnlineCPUMem", "bad request", Code.DEADLINE_EXCEEDED, "of 4711", INTERNAL)
async def more_than_there_are(s: Subject) -> None:
    request = agent_pb2.OnlineCPUMemRequest(nb_cpus=4711, cpu_only=True)
    await s.agent.online_cpu_mem(request)


@case("MemHotplugByProbe", "happy")
async def nothing_to_probe(s: Subject) -> None:
    await s.agent.mem_hotplug_by_probe(agent_pb2.MemHotplugByProbeRequest())


stateless("MemHotplugByProbe", nothing_to_probe)


# --- SetGuestDateTime, ReseedRandomDev ---


async def set_clock(s: Subject) -> None:
    now = int(time.time())
    await s.agent.set_guest_date_time(agent_pb2.SetGuestDateTimeRequest(Sec=now))


@case("SetGuestDateTime", "happy", machine=True)
async def clock_set(s: Subject) -> None:
    before = int(time.time())
    await set_clock(s)
    shown = int(await s.output_of("date", "+%s"))
    assert before <= shown < before + 60


stateless("SetGuestDateTime", set_clock, machine=True)


@case("SetGuestDateTime", "bad request", INVALID, "time -5 s", INTERNAL)
async def before_the_epoch(s: Subject) -> None:
    await s.agent.set_guest_date_time(agent_pb2.SetGuestDateTimeRequest(Sec=-5))


@case("ReseedRandomDev", "happy")
async def reseeded(s: Subject) -> None:
    request = agent_pb2.ReseedRandomDevRequest(data=bytes(range(256)) * 2)
    await s.agent.reseed_random_dev(request)


stateless("ReseedRandomDev", reseeded)


@case("ReseedRandomDev", "bad request", INVALID, "no entropy given", OK, INTERNAL)
async def no_entropy(s: Subject) -> None:
    await s.agent.reseed_random_dev(agent_pb2.ReseedRandomDevRequest())


# --- CopyFile ---

COPIED = f"{SHARED}/conformance-file"


def file_request(
    data: bytes = b"whole\n", *, path: str = COPIED, offset: int = 0, size: int = -1
) -> agent_pb2.CopyFileRequest:
    return agent_pb2.CopyFileRequest(
        path=path,
        file_size=len(data) if size < 0 else size,
        file_mode=stat.S_IFREG | 0o640,
        dir_mode=0o755,
        offset=offset,
        data=data,
    )


async def copy(s: Subject) -> None:
    await s.agent.copy_file(file_request())


async def content(s: Subject, path: str = COPIED) -> bytes:
    """Return a file of the guest, read by a container that has it mounted."""
    request = s.creation("reader", "cat", "/file")
    request.OCI.Mounts.add(
        destination="/file", source=path, type="bind", options=["bind", "ro"]
    )
    request.OCI.Root.Readonly = False
    await s.agent.create_container(request)
    await s.start("reader")
    data = await s.read_all("reader")
    await s.remove("reader")
    return data


@case("CopyFile", "happy")
async def copied(s: Subject) -> None:
    await copy(s)
    assert await content(s) == b"whole\n"


@case("CopyFile", "happy")
async def copied_in_parts(s: Subject) -> None:
    for offset, part in ((0, b"in "), (3, b"two "), (7, b"parts")):
        await s.agent.copy_file(file_request(part, offset=offset, size=12))
    assert await content(s) == b"in two parts"


@case("CopyFile", "happy")
async def directory_and_link(s: Subject) -> None:
    directory = agent_pb2.CopyFileRequest(
        path=f"{SHARED}/conformance-dir/sub",
        file_mode=stat.S_IFDIR | 0o755,
        dir_mode=0o755,
    )
    link = agent_pb2.CopyFileRequest(
        path=f"{SHARED}/conformance-dir/link",
        file_mode=stat.S_IFLNK | 0o777,
        dir_mode=0o755,
        data=b"sub",
    )
    await s.agent.copy_file(directory)
    await s.agent.copy_file(link)


@case("CopyFile", "bad request", INVALID, "not a path below", INTERNAL)
async def outside(s: Subject) -> None:
    await s.agent.copy_file(file_request(path="/etc/conformance"))


@case("CopyFile", "bad request", INVALID, "not a path below", INTERNAL)
async def outside_by_dots(s: Subject) -> None:
    await s.agent.copy_file(file_request(path=f"{SHARED}/../../../etc/conformance"))


@case("CopyFile", "bad request", INVALID, "negative offset", INTERNAL)
async def before_the_file(s: Subject) -> None:
    await s.agent.copy_file(file_request(offset=-1))


@case("CopyFile", "bad request", INVALID, "beyond its size", OK, INTERNAL)
async def beyond_the_size(s: Subject) -> None:
    await s.agent.copy_file(file_request(size=1))


stateless("CopyFile", copy)


@case("CopyFile", "concurrent")
async def different_files(s: Subject) -> None:
    paths = [f"{SHARED}/conformance-{number}" for number in range(8)]
    await asyncio.gather(
        *(s.agent.copy_file(file_request(p.encode(), path=p)) for p in paths)
    )
    assert await content(s, paths[5]) == paths[5].encode()


# --- AddSwap, AddSwapPath ---


@case("AddSwap", "bad request", INVALID, "no PCI path", INTERNAL)
async def no_disk(s: Subject) -> None:
    await s.agent.add_swap(agent_pb2.AddSwapRequest())


stateless("AddSwap", no_disk, INVALID, "no PCI path", INTERNAL)


@case("AddSwapPath", "bad request", NOT_FOUND, "/no/such/file", INTERNAL)
async def no_file(s: Subject) -> None:
    await s.agent.add_swap_path(agent_pb2.AddSwapPathRequest(path="/no/such/file"))


stateless("AddSwapPath", no_file, NOT_FOUND, "/no/such/file", INTERNAL)


# --- GetVolumeStats, ResizeVolume ---


@case("GetVolumeStats", "happy")
async def used(s: Subject) -> None:
    response = await s.agent.get_volume_stats(
        agent_pb2.VolumeStatsRequest(volume_guest_path=s.rootfs)
    )
    bytes_, inodes = response.usage
    assert bytes_.total >= bytes_.used
    assert inodes.total >= inodes.used
    assert not response.volume_condition.abnormal


stateless("GetVolumeStats", used)


@case("GetVolumeStats", "bad request", NOT_FOUND, "'/no/such'", INTERNAL)
async def no_volume(s: Subject) -> None:
    await s.agent.get_volume_stats(
        agent_pb2.VolumeStatsRequest(volume_guest_path="/no/such")
    )


async def resize_no_volume(s: Subject) -> None:
    request = agent_pb2.ResizeVolumeRequest(volume_guest_path="/no/such", size=1)
    await s.agent.resize_volume(request)


case("ResizeVolume", "bad request", NOT_FOUND, "'/no/such'", ABSENT)(resize_no_volume)
stateless("ResizeVolume", resize_no_volume, NOT_FOUND, "'/no/such'", ABSENT)


# --- RemoveStaleVirtiofsShareMounts, UpdateEphemeralMounts ---


@case("RemoveStaleVirtiofsShareMounts", "happy")
async def refreshed(s: Subject) -> None:
    await s.agent.remove_stale_virtiofs_share_mounts(
        agent_pb2.RemoveStaleVirtiofsShareMountsRequest()
    )


stateless("RemoveStaleVirtiofsShareMounts", refreshed)


def memory(*options: str, driver: str = "ephemeral") -> agent_pb2.Storage:
    return agent_pb2.Storage(
        driver=driver,
        source="tmpfs",
        fstype="tmpfs",
        options=options,
        mount_point="/run/kata-containers/sandbox/conformance",
    )


async def update_ephemeral(s: Subject, *storages: agent_pb2.Storage) -> None:
    await s.agent.update_ephemeral_mounts(
        agent_pb2.UpdateEphemeralMountsRequest(storages=storages)
    )


async def grow(s: Subject) -> None:
    await update_ephemeral(s, memory("size=1048576"))
    await update_ephemeral(s, memory("remount", "size=2097152"))


@case("UpdateEphemeralMounts", "happy")
async def grown(s: Subject) -> None:
    await grow(s)
    response = await s.agent.get_volume_stats(
        agent_pb2.VolumeStatsRequest(volume_guest_path=memory().mount_point)
    )
    assert response.usage[0].total == 2 << 20


stateless("UpdateEphemeralMounts", grow)


@case("UpdateEphemeralMounts", "bad request", INVALID, "'blk' is not", OK, INTERNAL)
async def not_ephemeral(s: Subject) -> None:
    await update_ephemeral(s, memory(driver="blk"))


# --- calls that this agent does not implement ---


@case("SetPolicy", "happy", ABSENT, "SetPolicy", OK, INTERNAL, NOT_FOUND)
async def policy(s: Subject) -> None:
    await s.agent.set_policy(agent_pb2.SetPolicyRequest(policy="package agent_policy"))


stateless("SetPolicy", policy, ABSENT, "SetPolicy", OK, INTERNAL, NOT_FOUND)


@case("MemAgentMemcgSet", "happy", ABSENT, "MemAgentMemcgSet", OK, INTERNAL)
async def memcg(s: Subject) -> None:
    await s.agent.mem_agent_memcg_set(agent_pb2.MemAgentMemcgConfig())


stateless("MemAgentMemcgSet", memcg, ABSENT, "MemAgentMemcgSet", OK, INTERNAL)


@case("MemAgentCompactSet", "happy", ABSENT, "MemAgentCompactSet", OK, INTERNAL)
async def compact(s: Subject) -> None:
    await s.agent.mem_agent_compact_set(agent_pb2.MemAgentCompactConfig())


stateless("MemAgentCompactSet", compact, ABSENT, "MemAgentCompactSet", OK, INTERNAL)
