# SPDX-License-Identifier: Apache-2.0
"""A virtio-vsock device in a process of its own, with the hybrid-vsock socket of a VM.

QEMU keeps the PCI side and hands the queues over by the vhost-user protocol. The
host's own AF_VSOCK is therefore not touched, and no privilege is needed:

    guest driver <-> virtqueues in shared memory <-> this process <-> unix sockets

    vhost_user   the control socket: memory, rings, kick and call descriptors
    ring         one queue as QEMU has described it so far
    memory       guest addresses to bytes
    virtqueue    one split ring
    packet       the header of virtio-vsock
    connection   one connection without I/O: its states
    credit       the bytes in flight of a connection
    endpoint     the host's socket of one connection
    device       packets in, packets out, and which endpoint they belong to
    backend      the epoll loop around all of these

Sources: VIRTIO 1.2 sections 2.7 (split virtqueues) and 5.10 (socket device);
QEMU, docs/interop/vhost-user.rst; Firecracker, docs/vsock.md (the unix socket).
One process serves one guest.
"""
