# SPDX-License-Identifier: Apache-2.0
"""The guest's calls, the log port and the debug console of a real local guest."""

from __future__ import annotations

import json
import os
import socket
import stat
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from kata_agent.version import VERSION
from kata_host.client import AgentClient
from kata_host.guest.local_guest import LocalGuest
from kata_protos import agent_pb2
from tests.helpers.namespace import require_root
from ttrpc.codes import Code
from ttrpc.errors import StatusError

pytestmark = pytest.mark.root

CONFIG = """
log_level = "debug"
log_vport = 1025
trace_encoding = "bogus"
debug_console = true
debug_console_vport = 1026
"""
SHARED = "/run/kata-containers/shared/containers"


@pytest.fixture(scope="module")
def guest(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalGuest]:
    require_root()
    config = tmp_path_factory.mktemp("config") / "agent.toml"
    config.write_text(CONFIG)
    command = [sys.executable, "-m", "kata_agent", "--config", str(config)]
    # The path of a unix socket must be short.
    directory = Path(f"/tmp/rpc-{os.urandom(4).hex()}")
    with LocalGuest(directory, command=command) as guest:
        yield guest


@pytest.fixture
async def client(guest: LocalGuest) -> AsyncIterator[AgentClient]:
    async with AgentClient.connect(guest.address) as client:
        yield client


def dial(guest: LocalGuest, port: int) -> socket.socket:
    """Connect to a port of the guest as a host does."""
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(20)
    connection.connect(str(guest.socket))
    connection.sendall(b"CONNECT %d\n" % port)
    answer = b""
    while not answer.endswith(b"\n"):
        answer += connection.recv(1)
    assert answer.startswith(b"OK ")
    return connection


async def test_details(client: AgentClient) -> None:
    details = await client.agent.get_guest_details(
        agent_pb2.GuestDetailsRequest(mem_block_size=True, mem_hotplug_probe=True)
    )
    agent = details.agent_details
    assert (agent.version, agent.init_daemon) == (VERSION, True)
    assert agent.supports_seccomp
    assert "blk" in agent.device_handlers
    assert "ephemeral" in agent.storage_handlers


async def test_copying_a_file(client: AgentClient, guest: LocalGuest) -> None:
    request = agent_pb2.CopyFileRequest(
        path=f"{SHARED}/a1/hosts", file_size=6, file_mode=stat.S_IFREG | 0o644
    )
    for offset, data in ((0, b"127"), (3, b".1\n")):
        request.offset, request.data = offset, data
        await client.agent.copy_file(request)
    console = dial(guest, 1026)
    with console, console.makefile("rw") as shell:
        shell.write(f"stty -echo; cat {SHARED}/a1/hosts; exit\n")
        shell.flush()
        assert "127.1" in shell.read()


@pytest.mark.parametrize("path", ["/etc/passwd", f"{SHARED}/../x", ""])
async def test_a_copy_outside_of_the_shared_directory(
    client: AgentClient, path: str
) -> None:
    with pytest.raises(StatusError) as caught:
        await client.agent.copy_file(agent_pb2.CopyFileRequest(path=path))
    assert caught.value.code == Code.INVALID_ARGUMENT


async def test_metrics(client: AgentClient) -> None:
    page = (await client.agent.get_metrics(agent_pb2.GetMetricsRequest())).metrics
    families = {family.name for family in text_string_to_metric_families(page)}
    assert {"kata_agent_total_rss", "kata_guest_meminfo"} <= families


async def test_entropy(client: AgentClient) -> None:
    await client.agent.reseed_random_dev(
        agent_pb2.ReseedRandomDevRequest(data=os.urandom(32))
    )
    with pytest.raises(StatusError) as caught:
        await client.agent.reseed_random_dev(agent_pb2.ReseedRandomDevRequest())
    assert caught.value.code == Code.INVALID_ARGUMENT


async def test_the_hosts_clock_is_not_the_guests_to_set(client: AgentClient) -> None:
    """A local guest may not set it; tests/vm shows that a VM does."""
    with pytest.raises(StatusError, match="Operation not permitted"):
        await client.agent.set_guest_date_time(
            agent_pb2.SetGuestDateTimeRequest(Sec=1_700_000_000)
        )


async def test_volumes(client: AgentClient) -> None:
    stats = await client.agent.get_volume_stats(
        agent_pb2.VolumeStatsRequest(volume_guest_path="/run")
    )
    assert [usage.unit for usage in stats.usage] == [1, 2]
    with pytest.raises(StatusError, match="cannot grow tmpfs") as caught:
        await client.agent.resize_volume(
            agent_pb2.ResizeVolumeRequest(volume_guest_path="/run", size=1 << 30)
        )
    assert caught.value.code == Code.UNIMPLEMENTED


async def test_cpus_that_are_online_already(client: AgentClient) -> None:
    await client.agent.online_cpu_mem(agent_pb2.OnlineCPUMemRequest(cpu_only=True))


async def test_swap_that_is_not_there(client: AgentClient) -> None:
    with pytest.raises(StatusError) as caught:
        await client.agent.add_swap_path(agent_pb2.AddSwapPathRequest(path="/nowhere"))
    assert caught.value.code == Code.NOT_FOUND
    with pytest.raises(StatusError) as caught:
        await client.agent.add_swap(agent_pb2.AddSwapRequest())
    assert caught.value.code == Code.INVALID_ARGUMENT


async def test_stale_mounts(client: AgentClient) -> None:
    await client.agent.remove_stale_virtiofs_share_mounts(
        agent_pb2.RemoveStaleVirtiofsShareMountsRequest()
    )


def test_the_log_port_has_the_boot(guest: LocalGuest) -> None:
    reader = dial(guest, 1025)
    with reader, reader.makefile() as lines:
        first = json.loads(next(lines))
        assert first["level"] == "WARN"
        assert "trace_encoding: not one of otlp, jaeger" in first["msg"]
        for line in lines:
            record = json.loads(line)
            assert {"msg", "level", "ts", "subsystem", "pid", "source"} <= set(record)
            if record["msg"] == "announce":
                break
        else:
            pytest.fail("no announce line")
    assert record["name"] == "kata-agent"
    assert record["config"]["debug_console_vport"] == 1026
    assert "blk" in record["device_handlers"]
