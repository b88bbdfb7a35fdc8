# SPDX-License-Identifier: Apache-2.0
"""What a forward says before it listens; tests/e2e/test_forward.py has real guests."""

from __future__ import annotations

from pathlib import Path
from unittest.mock import Mock

import pytest

from kata_host.errors import AgentError
from kata_host.sdk.forward import Forward
from kata_host.sdk.guest_connection import GuestConnection


def forward(address: str, target: int | str = 80) -> Forward:
    return Forward(GuestConnection(address, Mock()), "a1", target)


async def test_a_guest_that_forwards_nothing(tmp_path: Path) -> None:
    with pytest.raises(AgentError, match=r"agent\.forward_vport=1028"):
        await forward(f"hvsock://{tmp_path}/none:1024").__aenter__()
    with pytest.raises(ValueError, match="only vsock and hvsock have ports"):
        await forward(f"unix://{tmp_path}/s").__aenter__()


@pytest.mark.parametrize("target", [0, 65536, -1, "", "s", "/a\nb"])
def test_what_is_no_program_is_refused_at_once(target: int | str) -> None:
    with pytest.raises(ValueError, match="port|unix socket"):
        forward("hvsock:///none:1024", target)
