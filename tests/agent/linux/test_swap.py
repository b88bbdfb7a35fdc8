# SPDX-License-Identifier: Apache-2.0
"""A swap area that cannot be used is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from kata_agent.linux.swap import swap_on


def test_a_file_without_a_signature_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "area").write_bytes(bytes(1 << 16))
    with pytest.raises(OSError, match=rf"cannot swap on '{tmp_path}/area': "):
        swap_on(tmp_path / "area")
