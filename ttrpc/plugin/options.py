# SPDX-License-Identifier: Apache-2.0
"""What `--pyttrpc_opt` gives."""

from __future__ import annotations

from dataclasses import dataclass

from ttrpc.plugin.imports import is_importable


@dataclass(frozen=True, slots=True)
class Options:
    """The options of the plugin."""

    import_prefix: str = ""
    """The package that the generated files are imported from: `zoo.protos`."""

    @classmethod
    def parse(cls, parameter: str) -> Options:
        """Parse what protoc passes on, `name=value,name=value`.

        Raises:
            ValueError: an option is unknown, or its value is none.
        """
        prefix = ""
        for option in filter(None, parameter.split(",")):
            name, _, value = option.partition("=")
            if name != "import_prefix":
                raise ValueError(f"option {name!r}: unknown, there is: import_prefix")
            if not is_importable(value):
                raise ValueError(f"option import_prefix: no package {value!r}")
            prefix = value
        return cls(prefix)
