# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from kata_host.image.document import (
    as_list,
    as_object,
    as_text,
    as_texts,
    parse_document,
)
from kata_host.image.errors import ImageError


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xff", b"[" * 100_000])
def test_what_is_no_json_is_refused(content: bytes) -> None:
    with pytest.raises(ImageError, match="^config: no JSON"):
        parse_document(content, "config")


def test_types_are_checked_and_nothing_is_empty() -> None:
    assert (as_object(None, ""), as_list(None, ""), as_text(None, "")) == ({}, [], "")
    assert as_texts(["a", "b"], "") == ("a", "b")
    for check in (as_object, as_list, as_text, as_texts):
        with pytest.raises(ImageError, match="^Env: not a"):
            check(7, "Env")


@pytest.mark.parametrize("text", ["a\0b", "\udc80"])
def test_text_that_no_message_can_hold_is_refused(text: str) -> None:
    with pytest.raises(ImageError, match="is no text"):
        as_text(text, "User")
