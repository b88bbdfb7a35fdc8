# SPDX-License-Identifier: Apache-2.0
"""Forwards without asyncio; tests/e2e/test_forward.py has real guests."""

from __future__ import annotations

from pathlib import Path
from unittest.mock import Mock

import pytest

from kata_host.errors import AgentError
from kata_host.sdk import forward
from kata_host.sdk.guest_connection import GuestConnection
from kata_host.sync.forward import Forward


def test_errors_are_those_of_the_sdk(tmp_path: Path) -> None:
    connection = GuestConnection(f"hvsock://{tmp_path}/none:1024", Mock())
    opening = Forward(forward.Forward(connection, "a1", 80))
    with pytest.raises(AgentError, match=r"agent\.forward_vport=1028"):
        opening.__enter__()
