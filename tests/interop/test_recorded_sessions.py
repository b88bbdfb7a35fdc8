# SPDX-License-Identifier: Apache-2.0
"""Go's newest release answers the sessions of raw frames as it was recorded to.

That the sessions which our server is put through are the recorded ones.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import pytest

from tests.helpers.interop import go_peer
from tests.helpers.probe import CASES, recorded, transcript

pytestmark = [pytest.mark.interop, pytest.mark.timeout(300)]


RACES: Final = frozenset({"close_with_data", "data_after_close_pipelined"})
"""Go answers from the reader of the connection and from the handler, in any order."""


@pytest.mark.parametrize("name", CASES)
def test_session(name: str, go_programs: Path, tmp_path: Path) -> None:
    """A server for each session, because some sessions kill Go's."""
    address = str(tmp_path / "go.sock")
    with go_peer(go_programs, address):
        answered, expected = transcript(name, address), recorded("gomain")[name]
    if name in RACES:
        assert sorted(words(answered)) == sorted(words(expected))
    else:
        assert answered == expected


def words(line: str) -> list[str]:
    """Return the frames of a session and the text between them."""
    return re.split(r"(?<=\]) ", line)
