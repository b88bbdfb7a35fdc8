# SPDX-License-Identifier: Apache-2.0
"""Containers that real runtimes asked for run as they ran when they were captured.

The requests are those of `tests/data/captured`, also with values that another release
of a runtime sends.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket

import pytest

from kata_host.client import AgentClient
from kata_host.client.identifier import new_id
from kata_host.guest.local_guest import CONSOLE_NAME
from kata_protos import agent_pb2, oci_pb2
from tests.e2e.conftest import PATIENCE
from tests.helpers.capability_mask import mask
from tests.helpers.captured import copies_for
from tests.helpers.captured_world import SHARED, World, adapted, output_of, started
from tests.helpers.oci_runtimes import allow_what_runs_it
from ttrpc.errors import StatusError


async def test_the_profile_of_runtime_rs_is_in_force(
    agent: AgentClient, world: World
) -> None:
    """Its own program: `grep Seccomp /proc/self/status; unshare -m true; echo $?`."""
    output = await output_of(agent, adapted("runtime-rs-seccomp-1", world.rootfs))
    assert output == "Seccomp:\t2\nSeccomp_filters:\t1\n1\n"


@pytest.mark.parametrize(("number", "mode"), [(3, 0), (4, 2)])
async def test_the_containers_of_the_client_crate_have_its_rights(
    agent: AgentClient, world: World, number: int, mode: int
) -> None:
    """Their own program: `grep -E '^(Cap(Eff|Bnd)|Seccomp:)' /proc/self/status`."""
    request = adapted(f"runtime-rs-client-{number}", world.rootfs)
    allow_what_runs_it(world.runtime, request.OCI.Linux.Seccomp)
    asked = request.OCI.Process.Capabilities
    assert set(asked.Effective) == {"KILL"}
    assert set(asked.Bounding) == {"KILL", "MKNOD"}
    effective, bounding, seccomp = (await output_of(agent, request)).splitlines()
    assert effective == f"CapEff:\t{mask(['KILL']):016x}"
    held = {f"CapBnd:\t{mask(names):016x}" for names in (["KILL", "MKNOD"], ["KILL"])}
    # Where devices have no rules, the agent takes MKNOD away.
    assert bounding in held
    assert seccomp == f"Seccomp:\t{mode}"


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
