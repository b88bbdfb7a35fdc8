# SPDX-License-Identifier: Apache-2.0
"""The agent as PID 1 of a virtual machine, over vsock."""

from __future__ import annotations

import pytest

from kata_host.client import AgentClient

pytestmark = pytest.mark.vm


async def test_a_container_runs(client: AgentClient) -> None:
    result = await client.run(["sh", "-c", "cat; exit 7"], rootfs="/", input=b"in\n")
    assert (result.status, result.stdout) == (7, b"in\n")


async def test_protobufs_extension_is_loaded(client: AgentClient) -> None:
    """Without its extension, every call takes much longer."""
    script = (
        "import sys; sys.path.append('/usr/lib/kata-agent/packages');"
        "from google.protobuf.internal import api_implementation as implementation;"
        "print(implementation.Type())"
    )
    result = await client.run(["python3", "-ISOO", "-c", script], rootfs="/")
    assert (result.stdout, result.stderr) == (b"upb\n", b"")
