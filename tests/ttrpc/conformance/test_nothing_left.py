# SPDX-License-Identifier: Apache-2.0
"""Whatever bytes a peer sends, and however a connection ends, nothing is left of it."""

from __future__ import annotations

import asyncio

from hypothesis import given, settings
from hypothesis import strategies as st

from fuzz.sessions import Ending, call, call_blocking, serve
from tests.ttrpc.conformance.test_properties import sessions


@settings(max_examples=150)
@given(sessions, st.integers(0, 12), st.sampled_from(Ending))
def test_nothing_is_left_of_a_servers_connection(
    session: bytes, reads: int, ending: Ending
) -> None:
    asyncio.run(serve(session, reads, ending))


@settings(max_examples=150)
@given(sessions, st.integers(0, 12), st.booleans())
def test_nothing_is_left_of_a_clients_connection(
    session: bytes, turns: int, we_close: bool
) -> None:
    asyncio.run(call(session, turns, we_close))


@settings(max_examples=60)
@given(sessions, st.integers(0, 15), st.booleans())
def test_nothing_is_left_of_a_blocking_clients_connection(
    session: bytes, turns: int, we_close: bool
) -> None:
    call_blocking(session, turns, we_close)
