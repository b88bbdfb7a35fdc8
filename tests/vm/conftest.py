# SPDX-License-Identifier: Apache-2.0
"""Guests that are booted once and shared by the tests of a file or of all files."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from kata_host.client import AgentClient, BlockingAgentClient
from kata_host.guest.image.store import Image
from kata_host.guest.vm_command import Machine
from kata_host.guest.vm_guest import VmGuest
from tests.helpers import vm
from tests.helpers.plug import Plug
from tests.helpers.shell import Shell

SHARED_OPTIONS = (
    "agent.unified_cgroup_hierarchy=1",
    "agent.log=debug",
    "agent.log_vport=1025",
    "agent.debug_console_vport=1026",
    "agent.passfd_listener_port=1027",
    "agent.container_pipe_size=2097152",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Limit the time of tests without their fixtures, which build the image and boot.

    Image and boot have limits of their own.
    """
    for item in items:
        is_ours = item.path.parent == Path(__file__).parent
        if is_ours and item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(120, func_only=True))


@pytest.fixture(scope="session")
def image() -> Image:
    """The guest image."""
    return vm.require_image()


@pytest.fixture(scope="module")
def vsock_guest(
    image: Image, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[VmGuest]:
    """A booted guest without an agent: see `vsock_init.py`."""
    with vm.vsock_guest(image, tmp_path_factory.mktemp("vsock")) as guest:
        yield guest


@pytest.fixture
def control(vsock_guest: VmGuest) -> Iterator[vm.Control]:
    """A control connection of the test's own."""
    control = vm.Control(vsock_guest.socket)
    yield control
    control.close()


@pytest.fixture(scope="session")
def guest(image: Image, tmp_path_factory: pytest.TempPathFactory) -> Iterator[VmGuest]:
    """The agent's guest that all tests share: cgroup v2, two CPUs, a sandbox.

    Each test removes its additions. None destroys the sandbox, which would end the
    guest.
    """
    directory = tmp_path_factory.mktemp("agent")
    with vm.agent_guest(image, directory, *SHARED_OPTIONS) as guest:
        with BlockingAgentClient(guest.address) as client:
            client.create_sandbox("vm")
        yield guest


@pytest.fixture
async def client(guest: VmGuest) -> AsyncIterator[AgentClient]:
    """A connection to the shared guest's agent."""
    async with AgentClient.connect(guest.address) as client:
        yield client


@pytest.fixture
def shell(guest: VmGuest) -> Iterator[Shell]:
    """A shell on the shared guest's debug console."""
    with Shell(vm.connect(guest.socket, vm.CONSOLE)) as shell:
        yield shell


@pytest.fixture
def plug(guest: VmGuest, tmp_path: Path) -> Iterator[Plug]:
    """Adds devices to the shared guest until the test ends."""
    with Plug(guest, tmp_path) as plug:
        yield plug


@pytest.fixture(scope="session")
def machines(
    image: Image, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, VmGuest]]:
    """Two guests for devices that are never removed, with cgroup v1 and v2.

    The first has an IOMMU; both wait one second for a device.
    """
    guests = {}
    for version, unified, devices in (
        ("v1", "0", ["-device", "intel-iommu"]),
        ("v2", "1", []),
    ):
        options = [f"agent.unified_cgroup_hierarchy={unified}", "intel_iommu=on"]
        options += ["agent.hotplug_timeout=1s", "agent.debug_console_vport=1026"]
        machine = Machine(cpus=2, kernel_parameters=options, devices=devices)
        directory = tmp_path_factory.mktemp(version) / "vm"
        guests[version] = VmGuest(image, directory, machine=machine)
    with vm.booted(*guests.values()):
        for guest in guests.values():
            with BlockingAgentClient(guest.address) as client:
                client.create_sandbox("vm")
        yield guests


@pytest.fixture(params=["v1", "v2"])
def machine(machines: dict[str, VmGuest], request: pytest.FixtureRequest) -> VmGuest:
    """One of `machines`."""
    guest: VmGuest = machines[request.param]
    return guest


@pytest.fixture
async def machine_client(machine: VmGuest) -> AsyncIterator[AgentClient]:
    """A connection to that machine's agent."""
    async with AgentClient.connect(machine.address) as client:
        yield client


@pytest.fixture
def machine_plug(machine: VmGuest, tmp_path: Path) -> Iterator[Plug]:
    """Adds devices to that machine."""
    with Plug(machine, tmp_path) as plug:
        yield plug
