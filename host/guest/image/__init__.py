# SPDX-License-Identifier: Apache-2.0
"""The guest image: a kernel, an initrd and a read-only root disk, from Debian packages.

    apt       packages of a Debian suite, verified by apt, without touching the host
    python    the agent's Python packages, pinned by hash
    tree      the root file system as a directory
    modules   the kernel modules of it, and those that the initrd loads
    agent     our own packages, compiled for the guest's interpreter
    cpio      an archive that the kernel unpacks
    initrd    what runs before the root disk is there
    build     all of it in order
    store     where images are kept and found

Two suites of Debian, each for what it does better:

- user space from Debian 13: crun 1.21 keeps compiled seccomp filters (crun 1.8.1
  of Debian 12 compiles each anew, 19 ms a container) and answers `features`;
- the kernel from Debian 12 (6.1): its cgroup v1 still has memory and cpuset
  controllers, which 6.12 of Debian 13 is built without, and it leaves plugged
  memory offline until the agent brings it online, as Kata's kernels do.

Nothing here needs root: packages are unpacked, not installed, and `mkfs.erofs`
makes every file root's. The same packages give the same bytes.
"""
