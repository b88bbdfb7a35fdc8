# SPDX-License-Identifier: Apache-2.0
"""Ports of this host that lead to programs in a guest.

    published_port    which program, and which port of this host
    local_port        the port of this host, and its connections
    guest_socket      a connection to the program, by the agent's forwarder
    relay             the bytes both ways, and the end of each way

docs/forward.md has the protocol.
"""
