# SPDX-License-Identifier: Apache-2.0
"""The command line of QEMU for a guest.

A q35 machine whose memory is shared with the vsock backend. Devices can be added behind
two root ports and, as Kata's runtimes do, behind a PCI bridge. The vsock device has a
root port of its own, so that it can be taken out for a snapshot and put in again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from kata_host.network import GATEWAY, MAC, NAME_SERVER, SUBNET, Network

QEMU: Final = "qemu-system-x86_64"
ROOT_PORTS: Final = {"rp0": 0x08, "rp1": 0x09}
"""Device numbers of the root ports: `08/00` is the PCI path of a device behind rp0."""
VSOCK: Final = "vsock"
"""The name of the vsock device, and of its connection to the backend."""
VSOCK_BUS: Final = "vsock-port"
_VSOCK_SLOT: Final = 0x1E
"""Behind the others, whose buses have their numbers in this order."""
BRIDGE: Final = "pci-bridge-0"
BRIDGE_SLOT: Final = 0x10
"""Device number of the bridge: `10/02` is the PCI path of its slot 2."""

_KERNEL_PARAMETERS: Final = (
    # A panic, also by an exit of PID 1, reboots, which ends QEMU (-no-reboot).
    *("console=ttyS0", "panic=-1", "quiet"),
    # Both cost boot time, and protect a guest of one tenant from itself only.
    *("mitigations=off", "nokaslr"),
    # The kernel tests its ciphers as they are registered, a quarter of a second under
    # emulation.
    "cryptomgr.notests",
    "random.trust_cpu=on",
)


@dataclass(frozen=True, slots=True)
class Machine:
    """The hardware of a guest. Memory is in MiB."""

    memory: int = 512
    memory_limit: int = 4096
    """Memory at boot and memory that is plugged later, together."""
    cpus: int = 1
    cpus_limit: int = 4
    """CPUs at boot and CPUs that are plugged later, together."""
    kernel_parameters: Sequence[str] = ()
    """Words for the end of the kernel's command line, where they override others."""
    network: Network = "none"
    """The network `user` has an interface that the host has to configure
    (`kata_host.client.user_network`)."""
    devices: Sequence[str] = field(default=())
    """More arguments of QEMU."""


@dataclass(frozen=True, slots=True)
class Sockets:
    """The files of one running guest, all in its directory."""

    directory: Path

    @property
    def hybrid(self) -> Path:
        """The hybrid-vsock socket, which clients connect to."""
        return self.directory / "guest.sock"

    @property
    def vhost(self) -> Path:
        """The control socket between QEMU and the vsock backend."""
        return self.directory / "vhost.sock"

    @property
    def qmp(self) -> Path:
        """QEMU's monitor (docs/interop/qmp-spec.rst), for one client at a time."""
        return self.directory / "qmp.sock"

    @property
    def servers(self) -> Path:
        """Locked (man 2 flock) by each program that serves the VM and ends with it."""
        return self.directory / "servers.lock"

    @property
    def reason(self) -> Path:
        """One line, where a program that serves the VM has ended QEMU."""
        return self.directory / "reason"

    @property
    def console(self) -> Path:
        """The serial console, for one client at a time."""
        return self.directory / "console.sock"

    @property
    def console_log(self) -> Path:
        """Everything that the guest has written to its serial console."""
        return self.directory / "console.log"


def accelerator_arguments(accelerator: str) -> list[str]:
    """Return the arguments of QEMU for `kvm` or `tcg`."""
    if accelerator == "kvm":
        return ["-accel", "kvm", "-cpu", "host"]
    # Without rdrand, Python waits a second for the kernel's first random number.
    return ["-accel", "tcg,thread=multi", "-cpu", "qemu64,+rdrand"]


def qemu_command(
    machine: Machine,
    sockets: Sockets,
    *,
    kernel: Path,
    initrd: Path,
    root: Path,
    accelerator: str,
    is_restored: bool = False,
) -> list[str]:
    """Return the program QEMU and its arguments.

    One whose guest `is_restored` starts no kernel and has no vsock device: it waits for
    both to come by its monitor (`kata_host.guest.vm_snapshot`).
    """
    parameters = " ".join([*_KERNEL_PARAMETERS, *machine.kernel_parameters])
    memory = f"{machine.memory}M"
    arguments = [QEMU, "-nodefaults", "-nic", "none", "-display", "none", "-no-reboot"]
    arguments += ["-machine", "q35,memory-backend=memory,nvdimm=on"]
    arguments += accelerator_arguments(accelerator)
    arguments += ["-object", f"memory-backend-memfd,id=memory,size={memory},share=on"]
    arguments += ["-m", f"{memory},slots=4,maxmem={machine.memory_limit}M"]
    arguments += ["-smp", f"{machine.cpus},maxcpus={machine.cpus_limit}"]
    if is_restored:
        arguments += ["-incoming", "defer"]
    else:
        arguments += ["-kernel", str(kernel), "-initrd", str(initrd)]
        arguments += ["-append", parameters]
    arguments += ["-drive", f"file={root},if=none,id=root,format=raw,readonly=on"]
    arguments += ["-device", "virtio-blk-pci,drive=root"]
    arguments += _root_port(VSOCK_BUS, _VSOCK_SLOT)
    if not is_restored:
        arguments += ["-chardev", f"socket,id={VSOCK},path={sockets.vhost}"]
        device = f"vhost-user-vsock-pci,id={VSOCK},chardev={VSOCK},bus={VSOCK_BUS}"
        arguments += ["-device", device]
    arguments += ["-chardev", _console(sockets), "-serial", "chardev:console"]
    arguments += ["-qmp", f"unix:{sockets.qmp},server=on,wait=off"]
    arguments += ["-device", "virtio-rng-pci"]
    arguments += ["-device", "virtio-scsi-pci,id=scsi0"]
    arguments += _buses()
    if machine.network == "user":
        arguments += _user_network()
    return [*arguments, *machine.devices]


def _console(sockets: Sockets) -> str:
    log = f"logfile={sockets.console_log}"
    return f"socket,id=console,path={sockets.console},server=on,wait=off,{log}"


def _user_network() -> list[str]:
    addresses = f"net={SUBNET},host={GATEWAY},dns={NAME_SERVER},ipv6=off"
    # Without a boot ROM, which is in a package of its own and costs boot time.
    card = f"virtio-net-pci,netdev=user,mac={MAC},romfile="
    return ["-netdev", f"user,id=user,{addresses}", "-device", card]


def _buses() -> list[str]:
    arguments = []
    for port, number in ROOT_PORTS.items():
        arguments += _root_port(port, number)
    # Without reserved ranges, a device behind the bridge gets no addresses.
    reserve = "io-reserve=4k,mem-reserve=1m,pref64-reserve=1m"
    slot = f"bus=pcie.0,addr={BRIDGE_SLOT:#x},chassis_nr=1,shpc=off"
    arguments += ["-device", f"pci-bridge,id={BRIDGE},{slot},{reserve}"]
    return arguments


def _root_port(name: str, number: int) -> list[str]:
    slot = f"bus=pcie.0,addr={number:#x},chassis={number},slot={number}"
    return ["-device", f"pcie-root-port,id={name},{slot}"]
