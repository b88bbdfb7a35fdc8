# SPDX-License-Identifier: Apache-2.0
"""Builds the guest image from Debian packages: kernel, initrd, read-only root disk.

    apt       packages of a Debian suite, verified by apt, without touching the host
    python    the agent's Python packages, pinned by hash
    tree      the root file system as a directory
    modules   the kernel's modules: for the root file system, and for the initrd
    agent     our own packages, compiled for the guest's interpreter
    cpio      an archive that the kernel unpacks
    initrd    the program that runs before the root disk is mounted
    build     all steps in order
    store     the directory in which images are kept

The packages come from two suites of Debian:

- user space from Debian 13, because its crun 1.21 keeps compiled seccomp filters (crun
  1.8.1 of Debian 12 compiles each filter again, 19 ms a container) and has `features`;
- the kernel from Debian 12 (6.1), because its cgroup v1 still has the memory and cpuset
  controllers, which 6.12 of Debian 13 is built without, and because it leaves plugged
  memory offline until the agent brings it online, as Kata's kernels do.

Nothing here needs root: packages are unpacked and not installed, and `mkfs.erofs` makes
root the owner of every file. The same packages give the same bytes.
"""
