# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from tests.helpers.peer import ECHO
from ttrpc.call_context import CallContext


def test_metadata_that_an_interceptor_adds_is_sent() -> None:
    context = CallContext(ECHO["Echo"])
    context.metadata.add("Key", "value")
    assert list(context.pairs) == [("key", "value")]


def test_metadata_is_sent_in_lower_case() -> None:
    context = CallContext(ECHO["Echo"], metadata=[("Key", "value")])
    assert list(context.pairs) == [("key", "value")]


def test_without_metadata_nothing_is_sent() -> None:
    assert list(CallContext(ECHO["Echo"]).pairs) == []
