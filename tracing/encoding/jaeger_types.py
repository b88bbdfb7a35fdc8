# SPDX-License-Identifier: Apache-2.0
"""The Thrift structures of jaeger-client, without the rest of that package.

`import jaeger_client` loads Tornado, an event loop and a UDP reporter, which takes 65
ms and 3 MiB for six structures. An import of any module inside the package runs the
package's `__init__` first, so the one generated module is loaded from its folder, in
whichever form it is there: the tarball has the compiled one. It needs `thrift` and
`six` only.
"""

from __future__ import annotations

import importlib.util
import sys
from importlib.machinery import PathFinder
from pathlib import Path
from types import ModuleType
from typing import Any, Final

_NAME: Final = "kata_tracing.encoding._jaeger.ttypes"
"""Ends with the name of the file, as the finder of modules wants."""
_FOLDER: Final = "thrift_gen/jaeger"


def _load() -> ModuleType:
    package = importlib.util.find_spec("jaeger_client")
    if package is None or not package.submodule_search_locations:
        raise ModuleNotFoundError("jaeger_client not installed")
    folder = Path(package.submodule_search_locations[0], _FOLDER)
    spec = PathFinder.find_spec(_NAME, [str(folder)])
    if spec is None or spec.loader is None:
        raise ModuleNotFoundError(f"jaeger_client: no module in {folder}")
    module = importlib.util.module_from_spec(spec)
    # The generated code looks itself up by name (`__name__` in its spec tables).
    sys.modules[_NAME] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[_NAME]
        raise
    return module


_types: Final = _load()
Batch: Final[Any] = _types.Batch
Process: Final[Any] = _types.Process
Span: Final[Any] = _types.Span
SpanRef: Final[Any] = _types.SpanRef
SpanRefType: Final[Any] = _types.SpanRefType
Tag: Final[Any] = _types.Tag
TagType: Final[Any] = _types.TagType
