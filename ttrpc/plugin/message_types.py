# SPDX-License-Identifier: Apache-2.0
"""Where the Python class of each protobuf message is."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from google.protobuf.descriptor_pb2 import DescriptorProto, FileDescriptorProto

INSTALLED: Final = "google/protobuf/"
"""The .protos whose Python comes with protobuf, below no other package."""


@dataclass(frozen=True, slots=True)
class MessageType:
    """The Python class of a message."""

    module: str
    """`kata_protos.health_pb2`."""
    name: str
    """`CheckRequest`, or `Outer.Inner`."""


class MessageTypes:
    """The Python class of each message of some files."""

    def __init__(
        self, files: Iterable[FileDescriptorProto], import_prefix: str = ""
    ) -> None:
        self._types: dict[str, MessageType] = {}
        for file in files:
            module = python_module(file, import_prefix)
            prefix = f".{file.package}" if file.package else ""
            for message in file.message_type:
                self._add(module, message, prefix, "")

    def _add(
        self, module: str, message: DescriptorProto, prefix: str, outer: str
    ) -> None:
        full_name = f"{prefix}.{message.name}"
        name = f"{outer}{message.name}"
        self._types[full_name] = MessageType(module, name)
        for nested in message.nested_type:
            self._add(module, nested, full_name, f"{name}.")

    def __getitem__(self, full_name: str) -> MessageType:
        """Find the class of `.grpc.CheckRequest`."""
        return self._types[full_name]


def python_path(file: FileDescriptorProto) -> str:
    """Return the file's path as protoc's Python generator begins its own files.

    `github.com/pets/big-cat.proto` -> `github/com/pets/big_cat`: dashes become
    underscores, and dots folders.
    """
    name = file.name.removesuffix(".protodevel").removesuffix(".proto")
    return name.replace("-", "_").replace(".", "/")


def python_module(file: FileDescriptorProto, import_prefix: str = "") -> str:
    """Return the module that protoc's Python generator writes for a file.

    `pets/big-cat.proto` -> `pets.big_cat_pb2`, or `zoo.pets.big_cat_pb2` where the
    package `zoo` has the generated files.
    """
    module = f"{python_path(file).replace('/', '.')}_pb2"
    if import_prefix and not file.name.startswith(INSTALLED):
        module = f"{import_prefix}.{module}"
    return module
