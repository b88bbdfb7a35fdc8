# SPDX-License-Identifier: Apache-2.0
"""Kernel modules: those in the root file system, and those that the initrd loads."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from kata_host.needed_programs import search_path

BOOT: Final = ("virtio_pci", "virtio_blk", "erofs", "vmw_vsock_virtio_transport")
"""Modules that the guest needs to reach the root disk and the host."""
DRIVERS: Final = (
    *("virtio_net", "virtio_scsi", "sd_mod", "virtio_console", "virtio_rng"),
    *("nfit", "nd_pmem", "virtiofs"),
)
"""Modules that Kata's kernels have built in. No udev loads them for a new device."""
# vsock_loopback is left out: without it, no process of a container reaches a vsock port
# of the guest. (The agent refuses such connections also where the module is.)
AVAILABLE: Final = (
    *BOOT,
    *DRIVERS,
    *("virtio_mmio", "virtio_mem", "virtio_pmem", "virtio_balloon"),
    *("overlay", "ext4", "xfs", "squashfs", "fuse", "loop", "binfmt_misc", "nls_ascii"),
    *(
        "veth",
        "bridge",
        "br_netfilter",
        "dummy",
        "tun",
        "macvlan",
        "ipvlan",
        "vfio_pci",
    ),
    *("iptable_nat", "iptable_filter", "iptable_mangle", "ip6table_filter"),
    *("nf_tables", "nft_compat", "nft_chain_nat", "xt_conntrack", "xt_MASQUERADE"),
    *("xt_comment", "xt_multiport", "xt_REDIRECT", "xt_tcpudp", "ip6table_nat"),
    *("dm_mod", "dm_verity", "dm_crypt", "ptp_kvm", "zram"),
)


def resolve(kernel_tree: Path, version: str, names: Iterable[str]) -> list[Path]:
    """Return the files of modules and their dependencies, in the order of loading.

    A module that the kernel has built in or does not have adds no file.
    """
    files: dict[Path, None] = {}
    for name in names:
        done = subprocess.run(
            ["modprobe", "-d", kernel_tree, "-S", version, "--show-depends", name],
            capture_output=True,
            text=True,
            env=_environment(),
        )
        for line in done.stdout.splitlines():
            if line.startswith("insmod "):
                files.setdefault(Path(line.split()[1]))
    return list(files)


def install(kernel_tree: Path, version: str, tree: Path) -> None:
    """Copy the modules of AVAILABLE into the root file system `tree`."""
    _depmod(kernel_tree, version)
    source = kernel_tree / "lib/modules" / version
    target = tree / "usr/lib/modules" / version
    target.mkdir(parents=True)
    for name in ("modules.builtin", "modules.builtin.modinfo", "modules.order"):
        shutil.copy(source / name, target)
    for file in resolve(kernel_tree, version, AVAILABLE):
        copy = target / file.relative_to(source)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, copy)
    _depmod(tree, version)


def _depmod(tree: Path, version: str) -> None:
    subprocess.run(["depmod", "-b", tree, version], check=True, env=_environment())


def _environment() -> dict[str, str]:
    """Return one in which users other than root find the programs of kmod, too."""
    return {**os.environ, "PATH": search_path()}
