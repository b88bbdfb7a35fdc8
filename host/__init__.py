# SPDX-License-Identifier: Apache-2.0
"""The programs and libraries of the host: no module here ever runs in a guest.

client/      calls a guest's agent: sandboxes, containers, processes
ctl/         the program kata-agent-ctl
guest/       local and VM guests, the vsock backend, the image, the tarball
forwarder/   the program kata-trace-forwarder
trace/       spans as a tree in a terminal, and as a page
"""

from kata_agent.version import VERSION as __version__

__all__ = ["__version__"]
