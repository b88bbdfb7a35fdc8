# SPDX-License-Identifier: Apache-2.0
"""The errors of the domain, each with the code that a caller gets."""

from __future__ import annotations

import pytest

from kata_agent import errors
from kata_agent.errors import AgentError
from ttrpc.codes import Code

KINDS = [
    kind
    for kind in AgentError.__subclasses__()
    # Other modules refine one of these for themselves.
    if kind.__module__ == errors.__name__
]


@pytest.mark.parametrize("kind", KINDS)
def test_an_error_has_a_code_of_its_own_and_says_its_message(
    kind: type[AgentError],
) -> None:
    assert kind.code is not Code.OK
    assert [other.code for other in KINDS].count(kind.code) == 1
    assert str(kind("container 'a1': not found")) == "container 'a1': not found"


def test_the_tree_in_the_docstring_has_every_error() -> None:
    assert errors.__doc__ is not None
    words = errors.__doc__.split()
    for kind in KINDS:
        assert kind.__name__ in words
