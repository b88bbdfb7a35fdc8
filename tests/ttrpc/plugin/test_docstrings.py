# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import ast

import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorProto

from ttrpc.plugin.docstrings import Docstrings, docstring


def test_a_comment_before_a_thing_wins_over_one_behind() -> None:
    file = FileDescriptorProto()
    locations = file.source_code_info.location
    locations.add(path=[6, 0], leading_comments=" Before.\n", trailing_comments="x")
    locations.add(path=[6, 1], leading_comments="\n", trailing_comments=" Behind.\n")
    locations.add(path=[6, 2])
    comments = Docstrings(file)
    found = [comments.comment((6, index)) for index in range(3)]
    assert found == ["Before.", "Behind.", ""]


@pytest.mark.parametrize(
    "text",
    [
        "One line.",
        'Ends in a "quote"',
        'Ends in \\ and "',
        'A \\ and """three quotes"""\n\nAnd more """',
        "A long line" * 10,
        'A long line that ends in a quote, "' * 4,
    ],
)
def test_a_docstring_holds_its_text(text: str) -> None:
    code = f"class X:\n{docstring(text, 4)}\n"
    held = ast.get_docstring(ast.parse(code).body[0])  # type: ignore[arg-type]
    assert held is not None
    assert held.rstrip() == text.replace('"""', "'''").rstrip()


def test_a_character_that_source_code_cannot_have_is_a_question_mark() -> None:
    assert docstring("a\0b\x1bc", 0) == '"""a?b?c"""'
