# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorProto

from ttrpc.plugin.message_types import (
    MessageType,
    MessageTypes,
    python_module,
    python_path,
)


def pets() -> FileDescriptorProto:
    file = FileDescriptorProto(name="pets/big-cat.proto", package="pets")
    file.message_type.add(name="Cat").nested_type.add(name="Paw")
    return file


def test_a_message_is_in_the_module_that_protoc_writes() -> None:
    cat = MessageTypes([pets()])[".pets.Cat"]
    assert cat == MessageType("pets.big_cat_pb2", "Cat")


def test_a_nested_message_is_an_attribute_of_its_outer_one() -> None:
    paw = MessageTypes([pets()])[".pets.Cat.Paw"]
    assert paw == MessageType("pets.big_cat_pb2", "Cat.Paw")


def test_a_file_without_a_package_has_messages_too() -> None:
    file = FileDescriptorProto(name="bare.proto")
    file.message_type.add(name="Bare")
    assert MessageTypes([file])[".Bare"] == MessageType("bare_pb2", "Bare")


def test_a_prefix_is_for_all_modules_but_those_of_protobuf() -> None:
    empty = FileDescriptorProto(name="google/protobuf/empty.proto")
    assert python_module(empty, "zoo") == "google.protobuf.empty_pb2"
    assert python_module(pets(), "zoo") == "zoo.pets.big_cat_pb2"


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("a.proto", "a"),
        ("x/y-z.proto", "x/y_z"),
        ("no_suffix", "no_suffix"),
        ("github.com/x/y.z.proto", "github/com/x/y/z"),
        ("old.protodevel", "old"),
    ],
)
def test_paths_are_those_of_protocs_python_generator(name: str, path: str) -> None:
    assert python_path(FileDescriptorProto(name=name)) == path
