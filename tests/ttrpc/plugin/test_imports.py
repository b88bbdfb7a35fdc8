# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from ttrpc.plugin.imports import Imports, is_importable
from ttrpc.plugin.names import Names


def test_imports_are_sorted_into_blocks() -> None:
    imports = Imports(Names())
    imports.module("zoo_pb2", run=True)
    for name in ("b", "a"):
        imports.symbol("pets", name)
    imports.symbol("typing", "Any")
    imports.module("google.protobuf.empty_pb2", run=True)
    assert imports.blocks(run=True) == [
        ["from typing import Any"],
        ["from google.protobuf import empty_pb2"],
        ["import zoo_pb2", "from pets import a, b"],
    ]


def test_an_import_that_runs_is_not_repeated_for_types() -> None:
    imports = Imports(Names())
    assert imports.symbol("pets", "Cat") == imports.type("pets", "Cat") == "Cat"
    assert imports.type("pets", "Dog") == "Dog"
    assert imports.blocks(run=True) == [["from pets import Cat"]]
    assert imports.blocks(run=False) == [["from pets import Dog"]]


def test_modules_that_share_a_last_name_are_told_apart() -> None:
    imports = Imports(Names())
    names = ("one.shared_pb2", "two.shared_pb2", "two_shared_pb2")
    assert [imports.module(name) for name in names] == [
        *("shared_pb2", "two_shared_pb2", "two_shared_pb2_")
    ]
    assert imports.blocks(run=False)[0][0] == (
        "import two_shared_pb2 as two_shared_pb2_"
    )


def test_a_builtin_is_imported_only_under_another_name() -> None:
    imports = Imports(Names())
    assert imports.type("builtins", "float") == "float"
    assert not imports.blocks(run=False)
    imports = Imports(Names(["float"]))
    assert imports.type("builtins", "float") == "float_"
    assert imports.blocks(run=False) == [["from builtins import float as float_"]]


@pytest.mark.parametrize(
    ("path", "importable"),
    [
        ("pets.cat_pb2", True),
        ("match.cat_pb2", True),
        ("from.cat_pb2", False),
        ("pets.cat_pb2.None", False),
        ("1st.cat_pb2", False),
        ("a b.cat_pb2", False),
        ("", False),
    ],
)
def test_only_names_of_pythons_are_importable(path: str, importable: bool) -> None:
    assert is_importable(path) is importable
