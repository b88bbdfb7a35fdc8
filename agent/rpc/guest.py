# SPDX-License-Identifier: Apache-2.0
"""The guest as a machine: its details, CPUs, memory, clock, files, swap, volumes."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from google.protobuf.empty_pb2 import Empty

from kata_agent.blocking import blocking
from kata_agent.device.hotplug import Hotplug
from kata_agent.machine.clock import set_time
from kata_agent.machine.cpu_memory import probe_memory
from kata_agent.machine.cpu_memory_hotplug import CpuMemoryHotplug
from kata_agent.machine.details import guest_details
from kata_agent.machine.entropy import reseed
from kata_agent.machine.swap import add_swap_disk, add_swap_file
from kata_agent.machine.virtiofs_refresh import refresh_shared_mounts
from kata_agent.machine.volume import resize_volume, volume_stats
from kata_agent.metrics.metrics import Metrics
from kata_agent.runtime.concurrency_limit import ConcurrencyLimit
from kata_agent.sandbox.sandbox import Sandbox
from kata_protos import agent_pb2, csi_pb2
from kata_protos.agent_ttrpc import AgentServiceBase
from kata_tracing.counters import Counters
from ttrpc.call_context import CallContext


class GuestService(AgentServiceBase):
    """Part of grpc.AgentService."""

    def __init__(
        self,
        sandbox: Sandbox,
        hotplug: Hotplug,
        *,
        device_handlers: Sequence[str],
        storage_handlers: Sequence[str],
        count_spans: Callable[[], Counters] = Counters,
    ) -> None:
        self._hotplug = hotplug
        self._paths = hotplug.paths
        self._cpu_memory = CpuMemoryHotplug(
            hotplug.paths,
            hotplug.uevents,
            lambda: [(c.cgroup_path, c.wanted_cpus) for c in sandbox.containers],
        )
        self._files = sandbox.files
        self._metrics = Metrics(hotplug.paths, count_spans)
        # One at a time, because threads that compute keep the event loop waiting.
        self._scrape_limit = ConcurrencyLimit(1)
        self._device_handlers = device_handlers
        self._storage_handlers = storage_handlers

    async def get_guest_details(
        self, request: agent_pb2.GuestDetailsRequest, context: CallContext
    ) -> agent_pb2.GuestDetailsResponse:
        return await blocking(
            guest_details,
            self._paths,
            request,
            device_handlers=self._device_handlers,
            storage_handlers=self._storage_handlers,
        )

    async def online_cpu_mem(
        self, request: agent_pb2.OnlineCPUMemRequest, context: CallContext
    ) -> Empty:
        await self._cpu_memory.bring_online(request.nb_cpus, cpu_only=request.cpu_only)
        return Empty()

    async def mem_hotplug_by_probe(
        self, request: agent_pb2.MemHotplugByProbeRequest, context: CallContext
    ) -> Empty:
        await blocking(probe_memory, self._paths, request.memHotplugProbeAddr)
        return Empty()

    def set_guest_date_time(
        self, request: agent_pb2.SetGuestDateTimeRequest, context: CallContext
    ) -> Empty:
        set_time(request.Sec, request.Usec)
        return Empty()

    def reseed_random_dev(
        self, request: agent_pb2.ReseedRandomDevRequest, context: CallContext
    ) -> Empty:
        reseed(self._paths, request.data)
        return Empty()

    async def copy_file(
        self, request: agent_pb2.CopyFileRequest, context: CallContext
    ) -> Empty:
        await self._files.copy(request)
        return Empty()

    async def get_metrics(
        self, request: agent_pb2.GetMetricsRequest, context: CallContext
    ) -> agent_pb2.Metrics:
        async with self._scrape_limit.slot():
            page = await blocking(self._metrics.scrape)
        return agent_pb2.Metrics(metrics=page)

    async def add_swap(
        self, request: agent_pb2.AddSwapRequest, context: CallContext
    ) -> Empty:
        await add_swap_disk(self._hotplug, request.PCIPath)
        return Empty()

    async def add_swap_path(
        self, request: agent_pb2.AddSwapPathRequest, context: CallContext
    ) -> Empty:
        await add_swap_file(request.path)
        return Empty()

    async def get_volume_stats(
        self, request: agent_pb2.VolumeStatsRequest, context: CallContext
    ) -> csi_pb2.VolumeStatsResponse:
        return await volume_stats(self._paths, request.volume_guest_path)

    async def resize_volume(
        self, request: agent_pb2.ResizeVolumeRequest, context: CallContext
    ) -> Empty:
        await resize_volume(self._paths, request.volume_guest_path, request.size)
        return Empty()

    async def remove_stale_virtiofs_share_mounts(
        self,
        request: agent_pb2.RemoveStaleVirtiofsShareMountsRequest,
        context: CallContext,
    ) -> Empty:
        await refresh_shared_mounts(self._paths)
        return Empty()
