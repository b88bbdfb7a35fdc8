# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from ttrpc.deprecated import deprecated


@deprecated("/demo.Echo/Old is deprecated")
def double(number: int, *, extra: int = 0) -> int:
    """Double a number."""
    return 2 * number + extra


def test_a_call_warns_where_it_is_made() -> None:
    with pytest.warns(DeprecationWarning, match="^/demo.Echo/Old is depr") as caught:
        assert double(2, extra=1) == 5
    assert [it.filename for it in caught] == [__file__]


def test_the_function_keeps_its_name_and_docstring() -> None:
    assert (double.__name__, double.__doc__) == ("double", "Double a number.")


async def test_a_coroutine_function_warns_when_it_is_called() -> None:
    @deprecated("old")
    async def old() -> int:
        return 1

    with pytest.warns(DeprecationWarning, match="old"):
        coroutine = old()
    assert await coroutine == 1


def test_a_class_warns_when_an_object_is_made() -> None:
    @deprecated("old")
    class Old:
        def __init__(self, number: int) -> None:
            """Keep a number."""
            self.number = number

    with pytest.warns(DeprecationWarning, match="old") as caught:
        assert Old(3).number == 3
    assert [it.filename for it in caught] == [__file__]
    assert isinstance(Old, type)
