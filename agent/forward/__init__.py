# SPDX-License-Identifier: Apache-2.0
"""Connections of the host to programs in the guest, without any network in it.

    forwarder    accepts on the port of `agent.forward_vport`
    request      what the host asks for, in one line
    connect      the way into the container
    relay        the bytes both ways, and the end of each way

docs/forward.md has the protocol.
"""
