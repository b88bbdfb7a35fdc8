# SPDX-License-Identifier: Apache-2.0
"""The names of capabilities, in every form that a runtime has sent."""

from __future__ import annotations

from pathlib import Path

import pytest

from kata_agent.errors import InvalidArgument
from kata_agent.oci.capabilities import CAPABILITIES, capabilities_to_oci
from kata_agent.oci.resources import can_filter_devices
from kata_agent.system_paths import SystemPaths
from kata_protos import oci_pb2
from tests.helpers.domain import (
    container_request,
    exec_request,
    open_sandbox,
    output_of,
    read_all,
)
from tests.helpers.namespace import World, in_namespaces

KILL_AND_NET_RAW = "0000000000002020"
KILL_NET_RAW_AND_MKNOD = "0000000008002020"


def test_the_forms_of_the_go_runtime_of_runtime_rs_and_of_json_mean_the_same() -> None:
    forms = ["CAP_NET_RAW", "NET_RAW", "net_raw", "Cap_Net_Raw", '"NET_RAW"']
    message = oci_pb2.LinuxCapabilities(Bounding=forms, Ambient=['"cap_kill"'])
    assert capabilities_to_oci(message) == {
        "bounding": ["CAP_NET_RAW"] * len(forms),
        "effective": [],
        "inheritable": [],
        "permitted": [],
        "ambient": ["CAP_KILL"],
    }


def test_names_that_are_not_capabilities_are_an_error_with_all_of_them() -> None:
    message = oci_pb2.LinuxCapabilities(
        Bounding=["KILL", "NET_ROW"], Permitted=["CAP_CAP_KILL", "NET_ROW"]
    )
    with pytest.raises(
        InvalidArgument, match="^capabilities 'CAP_CAP_KILL', 'NET_ROW': unknown$"
    ):
        capabilities_to_oci(message)
    with pytest.raises(InvalidArgument, match="^capability '': unknown$"):
        capabilities_to_oci(oci_pb2.LinuxCapabilities(Effective=[""]))


def test_every_capability_of_this_kernel_has_its_name() -> None:
    last = int(Path("/proc/sys/kernel/cap_last_cap").read_text())
    assert len(CAPABILITIES) > last


@in_namespaces("v1", "v2")
async def test_a_container_and_an_exec_of_runtime_rs_have_their_capabilities(
    world: World,
) -> None:
    """Where devices have no rules, the agent takes MKNOD away by its name."""
    names = ["KILL", '"NET_RAW"', "MKNOD"]
    sets = oci_pb2.LinuxCapabilities(Bounding=names, Effective=names, Permitted=names)
    makes_nodes = can_filter_devices(SystemPaths(), unified=world.version == "v2")
    held = KILL_NET_RAW_AND_MKNOD if makes_nodes else KILL_AND_NET_RAW
    async with open_sandbox() as sandbox:
        request = container_request("c1", "sleep", "1000")
        request.OCI.Process.Capabilities.CopyFrom(sets)
        await sandbox.create_container(request)
        await sandbox.start_container("c1")
        init = sandbox.container("c1").processes.find("").pid
        status = Path(f"/proc/{init}/status").read_text()
        assert f"CapEff:\t{held}" in status
        assert f"CapBnd:\t{held}" in status
        script = "while read -r line; do echo $line; done < /proc/self/status"
        executed = exec_request("c1", "e1", "sh", "-c", script)
        executed.process.Capabilities.CopyFrom(sets)
        await sandbox.exec_process(executed)
        output = (await read_all(sandbox, "c1", "e1")).decode()
        assert f"CapEff: {held}" in output
        executed = exec_request("c1", "e2", "true")
        executed.process.Capabilities.Bounding.append("CAP_KILLL")
        with pytest.raises(InvalidArgument, match="capability 'CAP_KILLL': unknown"):
            await sandbox.exec_process(executed)


@in_namespaces("v1")
async def test_a_container_with_an_unknown_capability_is_not_made(world: World) -> None:
    async with open_sandbox() as sandbox:
        request = container_request("c1", "true")
        request.OCI.Process.Capabilities.Bounding.append("NET_ROW")
        with pytest.raises(InvalidArgument, match="capability 'NET_ROW': unknown"):
            await output_of(sandbox, request)
        assert sandbox.containers == []
