# SPDX-License-Identifier: Apache-2.0
"""A network interface is set up by its name."""

from __future__ import annotations

from pathlib import Path

import pytest

from kata_agent.linux.interface import raise_interface
from tests.helpers.namespace import World, in_namespaces


@in_namespaces("v2")
async def test_the_loopback_of_a_new_namespace_goes_up(world: World) -> None:
    before = Path("/proc/net/fib_trie").read_text()
    raise_interface("lo")
    # An address of the loopback is local only while the interface is up.
    assert "127.0.0.1" not in before
    assert "127.0.0.1" in Path("/proc/net/fib_trie").read_text()


def test_an_interface_that_is_not_there_is_named() -> None:
    with pytest.raises(OSError, match="interface 'nonesuch0': No such device"):
        raise_interface("nonesuch0")


def test_a_name_that_is_too_long_is_named() -> None:
    with pytest.raises(OSError, match="interface 'abcdefghijklmnop': name too long"):
        raise_interface("abcdefghijklmnop")
