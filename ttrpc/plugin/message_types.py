# SPDX-License-Identifier: Apache-2.0
"""Where the Python class of each protobuf message is."""

from __future__ import annotations

from collections.abc import Iterable

from google.protobuf.descriptor_pb2 import DescriptorProto, FileDescriptorProto


class MessageTypes:
    """The Python module and the Python name of each message."""

    def __init__(self, files: Iterable[FileDescriptorProto]) -> None:
        self._modules: dict[str, str] = {}
        self._names: dict[str, str] = {}
        for file in files:
            prefix = f".{file.package}" if file.package else ""
            for message in file.message_type:
                self._add(file, message, prefix, "")

    def _add(
        self,
        file: FileDescriptorProto,
        message: DescriptorProto,
        prefix: str,
        outer: str,
    ) -> None:
        full_name = f"{prefix}.{message.name}"
        name = f"{outer}{message.name}"
        self._modules[full_name] = f"{python_path(file).replace('/', '.')}_pb2"
        self._names[full_name] = name
        for nested in message.nested_type:
            self._add(file, nested, full_name, f"{name}.")

    def module(self, full_name: str) -> str:
        """Convert `.grpc.CheckRequest` to `kata_protos.health_pb2`."""
        return self._modules[full_name]

    def name(self, full_name: str) -> str:
        """Convert `.oci.Spec.Inner` to `Spec.Inner`."""
        return self._names[full_name]


def python_path(file: FileDescriptorProto) -> str:
    """Return the file's path as protoc's Python generator begins its own files.

    `pets/big-cat.proto` -> `pets/big_cat`: dashes become underscores.
    """
    return file.name.removesuffix(".proto").replace("-", "_")
