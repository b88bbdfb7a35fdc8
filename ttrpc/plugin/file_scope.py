# SPDX-License-Identifier: Apache-2.0
"""The names that the stubs of a file use, and the imports that bring them."""

from __future__ import annotations

from google.protobuf.descriptor_pb2 import FileDescriptorProto

from ttrpc.plugin.imports import Imports, is_importable, renamed
from ttrpc.plugin.message_types import MessageTypes, python_module
from ttrpc.plugin.names import Names


class FileScope:
    """What the services of a file share."""

    def __init__(
        self,
        file: FileDescriptorProto,
        types: MessageTypes,
        names: Names,
        import_prefix: str = "",
    ) -> None:
        self._types = types
        self._imports = Imports(names)
        # Type checkers know this condition by its name.
        self._imports.symbol("typing", "TYPE_CHECKING")
        self._deprecated = ""
        self._loaded: list[str] = []
        module = python_module(file, import_prefix)
        if is_importable(module):
            self.own = self._imports.module(module, run=True)
            """The module that protoc's Python generator writes for this file."""
        else:
            load = self._imports.symbol("importlib", "import_module")
            self.own = names.give(module.rpartition(".")[2], "own_pb2")
            self._loaded = [f'{self.own} = {load}("{module}")']

    def core(self, name: str) -> str:
        """Import a function or a class of the core."""
        return self._imports.symbol("ttrpc.service", name)

    def type(self, module: str, name: str, *, local: str = "") -> str:
        """Import a name for annotations."""
        return self._imports.type(module, name, local=local)

    def message(self, full_name: str) -> str:
        """Convert `.grpc.CheckRequest` to `health_pb2.CheckRequest`.

        A class that no expression can name, such as `None` or any of a file below
        `from/`, becomes Any.
        """
        found = self._types[full_name]
        if not is_importable(f"{found.module}.{found.name}"):
            return self.type("typing", "Any")
        return f"{self._imports.module(found.module)}.{found.name}"

    def deprecated(self) -> str:
        """Import the decorator of what is deprecated."""
        self._deprecated = self.type("typing_extensions", "deprecated")
        return self._deprecated

    def head(self) -> str:
        """Return the imports."""
        paragraphs = ["\n".join(block) for block in self._imports.blocks(run=True)]
        types = [
            "\n".join(f"    {line}" for line in block)
            for block in self._imports.blocks(run=False)
        ]
        types[0] = f"if TYPE_CHECKING:\n{types[0]}"
        if self._deprecated:
            words = renamed("deprecated", self._deprecated)
            types[-1] += f"\nelse:\n    from ttrpc.deprecated import {words}"
        return "\n\n".join([*paragraphs, *types, *self._loaded])
