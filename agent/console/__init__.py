# SPDX-License-Identifier: Apache-2.0
"""The debug console: a shell in the guest, for whoever the host lets in.

    agent.debug_console                 on /dev/console, one shell after the other
    agent.debug_console_vport=1026      on a vsock port, a shell for each connection

It is there when nothing else works, so it depends on nothing but a shell in the
guest, and neither a sandbox nor a container can hold it up.
"""
