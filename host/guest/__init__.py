# SPDX-License-Identifier: Apache-2.0
"""Guests on this host: in namespaces (`local_*`) or in a virtual machine (`vm_*`).

A guest is a process tree with an agent inside and one unix socket outside. A client of
that socket names a port of the guest to be connected to (`hybrid_server.py`), and a
connection that the guest opens to port P of the host arrives at `<socket>_P`.

    guest           the Protocol that both kinds fulfil
    console         the file with a guest's console
    local_guest     a local guest: supervisor, init, cgroup, system calls
    vm_guest        a VM: its command line, its accelerator
    hybrid_server   the unix socket of a local guest
    vsock/          the unix socket of a VM: a vhost-user backend
    holder          holds a guest that outlives the command that started it
    registry        finds such guests again
    image/          builds the image of the VM
    tarball         packs the agent for the image builders of Kata Containers
"""
