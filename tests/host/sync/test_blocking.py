# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from kata_host.sync.blocking import Blocking, around, blocking


class Inner:
    async def add(self, one: int, *, other: int = 2) -> int:
        """Add."""
        return one + other

    def make(self, text: str) -> list[str]:
        return [text]


class Outer(Blocking[Inner]):
    add = blocking(Inner.add)
    make = around(tuple)(Inner.make)


def test_a_method_blocks_with_the_same_arguments() -> None:
    outer = Outer(Inner())
    assert (outer.add(1), outer.add(1, other=5)) == (3, 6)
    assert outer.make("x") == ("x",)
    assert Outer.add.__doc__ == "Add."
