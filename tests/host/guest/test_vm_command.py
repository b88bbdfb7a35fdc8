# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest

from kata_host.guest.vm_command import (
    BRIDGE_SLOT,
    ROOT_PORTS,
    Machine,
    Sockets,
    accelerator_arguments,
    qemu_command,
)

SOCKETS = Sockets(Path("/run/one"))


def command(machine: Machine | None = None, **options: Any) -> list[str]:
    files = {"kernel": Path("/k"), "initrd": Path("/i"), "root": Path("/r")}
    values = {**files, "accelerator": "tcg", **options}
    return qemu_command(machine or Machine(), SOCKETS, **values)


def values_of(arguments: list[str], option: str) -> list[str]:
    """Return the value of each occurrence of an option."""
    pairs = itertools.pairwise(arguments)
    return [value for name, value in pairs if name == option]


def test_the_parameters_of_the_guest_come_last_on_the_kernels_command_line() -> None:
    machine = Machine(kernel_parameters=["agent.log=debug", "console=ttyS1"])
    (line,) = values_of(command(machine), "-append")
    assert line.startswith("console=ttyS0 panic=-1 ")
    assert line.endswith(" agent.log=debug console=ttyS1")


def test_kernel_initrd_and_a_read_only_root_are_those_of_the_image() -> None:
    arguments = command()
    assert values_of(arguments, "-kernel") == ["/k"]
    assert values_of(arguments, "-initrd") == ["/i"]
    (drive,) = values_of(arguments, "-drive")
    assert "file=/r" in drive
    assert "readonly=on" in drive


def test_memory_is_shared_and_can_be_plugged_up_to_the_limit() -> None:
    arguments = command(Machine(memory=256, memory_limit=1024))
    (backend,) = values_of(arguments, "-object")
    assert "size=256M" in backend
    assert "share=on" in backend
    assert values_of(arguments, "-m") == ["256M,slots=4,maxmem=1024M"]


def test_cpus_can_be_plugged_up_to_the_limit() -> None:
    arguments = command(Machine(cpus=2, cpus_limit=8))
    assert values_of(arguments, "-smp") == ["2,maxcpus=8"]


def test_every_socket_is_in_the_guests_directory() -> None:
    text = " ".join(command())
    for path in (SOCKETS.vhost, SOCKETS.qmp, SOCKETS.console, SOCKETS.console_log):
        assert path.parent == SOCKETS.directory
        assert str(path) in text


def test_devices_can_be_added_behind_two_root_ports_and_a_bridge() -> None:
    devices = values_of(command(), "-device")
    for port, number in ROOT_PORTS.items():
        (found,) = [each for each in devices if f"id={port}," in each]
        assert f"addr={number:#x}" in found
    (bridge,) = [each for each in devices if each.startswith("pci-bridge")]
    assert f"addr={BRIDGE_SLOT:#x}" in bridge


def test_more_arguments_come_last() -> None:
    machine = Machine(devices=["-device", "intel-iommu"])
    assert command(machine)[-2:] == ["-device", "intel-iommu"]


@pytest.mark.parametrize("accelerator", ["kvm", "tcg"])
def test_the_accelerator_is_the_one_that_is_asked_for(accelerator: str) -> None:
    assert accelerator_arguments(accelerator)[1].startswith(accelerator)
    (value,) = values_of(command(accelerator=accelerator), "-accel")
    assert value.startswith(accelerator)


def test_a_vm_has_no_network_unless_it_is_asked_for() -> None:
    assert not values_of(command(), "-netdev")
    assert values_of(command(), "-nic") == ["none"]
    arguments = command(Machine(network="user"))
    (network,) = values_of(arguments, "-netdev")
    assert network.startswith("user,id=user,net=10.0.2.0/24,")
    cards = [d for d in values_of(arguments, "-device") if "virtio-net" in d]
    assert cards == ["virtio-net-pci,netdev=user,mac=02:00:00:00:02:0f,romfile="]


def test_a_restored_guest_starts_no_kernel_and_gets_vsock_later() -> None:
    booted, restored = command(), command(is_restored=True)
    assert values_of(restored, "-incoming") == ["defer"]
    for option in ("-kernel", "-initrd", "-append"):
        assert values_of(booted, option)
        assert not values_of(restored, option)
    vsock = [word for word in values_of(booted, "-device") if "vsock-pci" in word]
    # All other devices are the same, also the port that vsock comes back to.
    assert values_of(restored, "-device") == [
        word for word in values_of(booted, "-device") if word not in vsock
    ]
    assert len(vsock) == 1
    assert SOCKETS.vhost.name not in " ".join(restored)
