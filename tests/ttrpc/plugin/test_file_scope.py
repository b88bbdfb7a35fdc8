# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from google.protobuf.descriptor_pb2 import FileDescriptorProto

from ttrpc.plugin.file_scope import FileScope
from ttrpc.plugin.message_types import MessageTypes
from ttrpc.plugin.names import Names


def scope(name: str, *, prefix: str = "") -> FileScope:
    file = FileDescriptorProto(name=name, package="pets")
    file.message_type.add(name="Cat").nested_type.add(name="None")
    return FileScope(file, MessageTypes([file], prefix), Names(), prefix)


def test_a_message_is_an_attribute_of_its_module() -> None:
    assert scope("pets/cat.proto").message(".pets.Cat") == "cat_pb2.Cat"


def test_a_message_that_no_expression_names_is_any() -> None:
    pets = scope("pets/cat.proto")
    assert pets.message(".pets.Cat.None") == "Any"
    assert "    from typing import Any" in pets.head()
    assert scope("from/cat.proto").message(".pets.Cat") == "Any"


def test_a_module_that_no_statement_imports_is_imported_by_its_name() -> None:
    pets = scope("class/cat.proto")
    pets.message(".pets.Cat")
    assert pets.head().endswith('\n\ncat_pb2 = import_module("class.cat_pb2")')


def test_a_prefix_is_before_every_import() -> None:
    pets = scope("pets/cat.proto", prefix="zoo.protos")
    pets.message(".pets.Cat")
    pets.type("ttrpc.service", "Method")
    assert "from zoo.protos.pets import cat_pb2" in pets.head()


def test_types_are_imported_for_type_checkers_only() -> None:
    pets = scope("pets/cat.proto")
    pets.type("ttrpc.service", "Method")
    assert pets.core("Service") == "Service"
    assert pets.deprecated() == "deprecated"
    assert pets.head() == (
        "from typing import TYPE_CHECKING\n\n"
        "from pets import cat_pb2\n"
        "from ttrpc.service import Service\n\n"
        "if TYPE_CHECKING:\n"
        "    from typing_extensions import deprecated\n\n"
        "    from ttrpc.service import Method\n"
        "else:\n"
        "    from ttrpc.deprecated import deprecated"
    )
