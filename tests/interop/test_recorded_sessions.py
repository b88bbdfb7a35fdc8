# SPDX-License-Identifier: Apache-2.0
"""Go's newest release answers the sessions of raw frames as it was recorded to.

That the sessions which our server is put through are the recorded ones.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.helpers.interop import go_peer
from tests.helpers.probe import CASES, recorded, transcript

pytestmark = [pytest.mark.interop, pytest.mark.timeout(300)]


@pytest.mark.parametrize("name", CASES)
def test_session(name: str, go_programs: Path, tmp_path: Path) -> None:
    """With a server of its own: some sessions kill it."""
    address = str(tmp_path / "go.sock")
    with go_peer(go_programs, address):
        assert transcript(name, address) == recorded("gomain")[name]
