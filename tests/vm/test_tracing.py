# SPDX-License-Identifier: Apache-2.0
"""Spans out of a virtual machine: boot, hotplug, a container, the power-off.

Each test has a guest of its own, because tracing is turned on by the kernel's command
line and ends with the machine.
"""

from __future__ import annotations

import asyncio
import subprocess
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
)

from kata_host.child import PACKAGES
from kata_host.client import AgentClient
from kata_host.client.spec import default_process, default_spec, writable_layer
from kata_host.forwarder import Receiver
from kata_host.guest.image.agent import HOME
from kata_host.guest.image.cpio import CpioArchive
from kata_host.guest.image.initrd import SOURCE
from kata_host.guest.image.store import Image
from kata_host.guest.qmp import Qmp
from kata_host.guest.vm_command import Machine
from kata_host.guest.vm_guest import VmGuest
from kata_host.trace.client_interceptor import inject
from kata_host.trace.received_span import ReceivedSpan
from kata_protos import agent_pb2
from kata_tracing.http1.message import format_request, format_response
from kata_tracing.span_kind import SpanKind
from kata_tracing.trace_context import TraceContext
from tests.helpers import jaeger, vm
from tests.helpers.collector import eventually
from tests.helpers.plug import SCSI_BUS
from tests.helpers.shell import Shell
from tests.helpers.trace_port import fake_collector
from ttrpc.call_context import CallContext
from ttrpc.interceptor import Proceed

pytestmark = [pytest.mark.vm, pytest.mark.slow]

POWER_OFF = 30.0
MOUNT_POINT = "/run/kata-containers/sandbox/storage/disk"
DAY = 24 * 3600


def plug_disk(guest: VmGuest, file: Path, lun: int) -> None:
    """Plug a SCSI disk into a running guest, with a file system on it."""
    with file.open("wb") as disk:
        disk.truncate(16 << 20)
    subprocess.run(["mkfs.ext4", "-q", str(file)], check=True)
    node = {"driver": "raw", "node-name": f"disk{lun}"}
    backend = {"driver": "file", "filename": str(file)}
    address = {"bus": SCSI_BUS, "scsi-id": 0, "lun": lun}
    with Qmp(guest.sockets.qmp) as qmp:
        qmp("blockdev-add", **node, file=backend)
        qmp("device_add", driver="scsi-hd", drive=f"disk{lun}", id="hd", **address)


@asynccontextmanager
async def booted(image: Image, directory: Path, *options: str) -> AsyncIterator[Any]:
    """A guest, and a receiver of its trace port that listens before the guest boots."""
    guest = vm.agent_guest(image, directory, *options)
    guest.launch()
    try:
        async with Receiver(f"{guest.socket}_10240") as receiver:
            await asyncio.to_thread(guest.wait_until_ready)
            yield guest, receiver
    finally:
        guest.stop()


class Traced:
    """A caller that is in a span of its own."""

    def __init__(self) -> None:
        self.context = TraceContext.new()

    async def interceptor(
        self, request: Any, context: CallContext, proceed: Proceed
    ) -> Any:
        inject(context, self.context)
        return await proceed(request, context)


async def live(client: AgentClient) -> None:
    """A sandbox, a container with a disk, a step of the clock, and the end."""
    await client.create_sandbox("vm-trace")
    disk = agent_pb2.Storage(
        driver="scsi", source="0:1", fstype="ext4", mount_point=MOUNT_POINT
    )
    layer, root = writable_layer("c1", "/")
    process = default_process(["sh", "-c", "echo out"])
    spec = default_spec("c1", process, rootfs=root)
    async with client.started_container("c1", spec, [disk, layer]) as container:
        yesterday = int(time.time()) - DAY
        await client.agent.set_guest_date_time(
            agent_pb2.SetGuestDateTimeRequest(Sec=yesterday)
        )
        assert (await container.init.communicate()).stdout == b"out\n"
    await client.destroy_sandbox()


async def test_a_life_from_boot_to_power_off(image: Image, tmp_path: Path) -> None:
    caller = Traced()
    options = ("agent.trace=collated", "agent.unified_cgroup_hierarchy=1")
    async with booted(image, tmp_path, *options) as (guest, receiver):
        plug_disk(guest, tmp_path / "disk", lun=1)
        client = await AgentClient.connect(
            guest.address, interceptors=[caller.interceptor]
        )
        async with client:
            await live(client)
        # The spans of the end were sent before the call's response; the power-off
        # sends later spans.
        assert await asyncio.to_thread(guest.wait, POWER_OFF) == 0
        spans = receiver.spans()
    check_boot(spans)
    check_hotplug(spans)
    check_calls(spans, caller.context)
    assert all(span.end >= span.start for span in spans)


def named(spans: list[ReceivedSpan], name: str) -> ReceivedSpan:
    (found,) = (span for span in spans if span.name == name)
    return found


def check_boot(spans: list[ReceivedSpan]) -> None:
    boot = named(spans, "agent.boot")
    for step in ("system.prepare", "tracing.start", "server.listen"):
        span = named(spans, step)
        assert span.parent_id == boot.span_id
        assert boot.start <= span.start <= span.end <= boot.end


def check_hotplug(spans: list[ReceivedSpan]) -> None:
    """Check the spans of the call, the storage, the wait for its disk and the mount."""
    wait = named(spans, "device.wait")
    assert wait.attributes["agent.uevent.subsystem"] == "block"
    assert str(wait.attributes["agent.uevent.path"]).endswith(
        f"/0:0:0:1/block/{wait.attributes['agent.uevent.name']}"
    )
    by_id = {span.span_id: span for span in spans}
    storage = by_id[wait.parent_id]
    assert storage.name == "storage.add"
    assert storage.attributes["agent.storage.driver"] == "scsi"
    assert by_id[storage.parent_id].name == "grpc.AgentService/CreateContainer"


def check_calls(spans: list[ReceivedSpan], caller: TraceContext) -> None:
    """Check that every call is below the caller's span, also after the clock's step."""
    calls = {span.name: span for span in spans if span.kind is SpanKind.SERVER}
    for method in ("CreateSandbox", "SetGuestDateTime", "WaitProcess"):
        call = calls[f"grpc.AgentService/{method}"]
        assert call.trace_id == f"{caller.trace_id:032x}"
        assert call.parent_id == f"{caller.span_id:016x}"
    destroy = calls["grpc.AgentService/DestroySandbox"]
    assert destroy.attributes["sandbox.id"] == "vm-trace"
    create = calls["grpc.AgentService/CreateSandbox"]
    assert destroy.start < create.start - DAY / 2 * 1e9, "the clock was set back"
    # The clock stepped while the process ran, but one clock gives both its times.
    run = named(spans, "process.run")
    assert run.attributes["process.exit.code"] == 0
    assert run.duration < 60 * 10**9


def with_forwarder(image: Image, directory: Path, *options: str) -> VmGuest:
    """A guest that has the forwarder too, which is a host's program otherwise."""
    archive = CpioArchive()
    host = PACKAGES / "kata_host"
    modules = [*host.glob("*.py")]
    for package in ("forwarder", "trace"):
        modules += (host / package).glob("*.py")
    for file in modules:
        name = f"{SOURCE}/{file.relative_to(PACKAGES)}"
        archive.add_file(name, file.read_bytes(), 0o644)
    initrd = directory / "initrd"
    parts = (image.initrd.read_bytes(), image.source_archive(), archive.finish())
    initrd.write_bytes(b"".join(parts))
    machine = Machine(kernel_parameters=options)
    return VmGuest(image, directory / "vm", machine=machine, initrd=initrd)


def has_console(guest: VmGuest) -> bool:
    try:
        vm.connect(guest.socket, vm.CONSOLE).close()
    except ConnectionRefusedError:
        return False
    return True


def check_forwarder(guest: VmGuest) -> None:
    """The forwarder listens on vsock, and its peers are told apart by their ids."""
    eventually(lambda: has_console(guest), "console")
    with Shell(vm.connect(guest.socket, vm.CONSOLE)) as shell:
        shell.run(f"export PYTHONPATH=/{HOME}/source:/{HOME}/packages")
        shell.type(
            "python3 -S -m kata_host.forwarder --listen vsock://-1:10240 "
            "--file /run/spans.jsonl --guest-connections 2 2>&1 &\n"
        )
        shell.until(r"listening on vsock://\S*:10240\b")
        batch = ExportTraceServiceRequest()
        batch.resource_spans.add().scope_spans.add().spans.add(name="a.b")
        request = format_request(
            "/v1/traces", batch.SerializeToString(), "application/x-protobuf"
        )
        held = [vm.connect(guest.socket, 10240) for _ in range(2)]
        for connection in held:
            connection.sendall(request)
            assert connection.recv(1000).startswith(b"HTTP/1.1 200")
        held.append(vm.connect(guest.socket, 10240))
        assert held[-1].recv(1000).startswith(b"HTTP/1.1 503")
        shell.until("cid 2: too many connections")
        assert shell.run("grep -c a.b /run/spans.jsonl") == "2"
        assert shell.run("grep ^Uid: /proc/$!/status").split()[1:] == ["65534"] * 4
        for connection in held:
            connection.close()


async def test_spans_arrive_in_the_jaeger_encoding(
    image: Image, tmp_path: Path
) -> None:
    """Isolated: each call is a trace of its own, linked to the boot.

    The sandbox is not destroyed, so its last spans are sent at the power-off.
    """
    options = ("agent.trace", "agent.trace_encoding=jaeger", "agent.trace_vport=9999")
    console = f"agent.debug_console_vport={vm.CONSOLE}"
    guest = with_forwarder(image, tmp_path, *options, console)
    guest.launch()
    try:
        with fake_collector(Path(f"{guest.socket}_9999")) as collector:
            collector.answers = [format_response(200, "OK", {})]
            await asyncio.to_thread(guest.wait_until_ready)
            await asyncio.to_thread(check_forwarder, guest)
            async with AgentClient.connect(guest.address) as client:
                await client.create_sandbox("vm-jaeger")
            with Shell(vm.connect(guest.socket, vm.CONSOLE)) as shell:
                shell.type("kill -TERM 1\n")
                assert await asyncio.to_thread(guest.wait, POWER_OFF) == 0
            requests = list(collector.requests)
    finally:
        guest.stop()
    assert {it.target for it in requests} == {
        ("POST", "/api/traces?format=jaeger.thrift")
    }
    batches = [jaeger.decode(it.body) for it in requests]
    assert {batch.process.serviceName for batch in batches} == {"kata-agent"}
    spans = {span.operationName: span for batch in batches for span in batch.spans}
    boot, create = spans["agent.boot"], spans["grpc.AgentService/CreateSandbox"]
    assert create.parentSpanId == 0
    assert [(it.spanId, it.traceIdLow) for it in create.references] == [
        (boot.spanId, boot.traceIdLow)
    ]
    # Made after the signal, outside of a call.
    assert spans["namespace.unpin"].parentSpanId == 0
    assert all(span.duration >= 0 for span in spans.values())
