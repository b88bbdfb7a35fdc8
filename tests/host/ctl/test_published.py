# SPDX-License-Identifier: Apache-2.0
"""Ports of the command line."""

from __future__ import annotations

import argparse

import pytest

from kata_host.ctl.published import published_port
from kata_host.forwarding.published_port import PublishedPort


def test_a_word_is_a_port() -> None:
    assert published_port("80:8000") == PublishedPort(8000, 80)
    assert published_port("8000", same=True) == PublishedPort(8000, 8000)


@pytest.mark.parametrize("word", ["a", "80:a", "/\udcff"])
def test_what_is_wrong_is_said(word: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="port|UTF-8"):
        published_port(word)
