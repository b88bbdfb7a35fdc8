# SPDX-License-Identifier: Apache-2.0
"""The mark of stubs whose .proto says `deprecated`."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from typing import Any, TypeVar, cast

ObjectT = TypeVar("ObjectT", bound=Callable[..., Any])


def deprecated(message: str) -> Callable[[ObjectT], ObjectT]:
    """Have the calls of a function or class warn, as `warnings.deprecated` does.

    Type checkers know that one, of Python 3.13, so generated stubs show it to them.
    """

    def decorate(it: ObjectT) -> ObjectT:
        cls: Any = it if isinstance(it, type) else None
        function = cls.__init__ if cls else it

        @functools.wraps(function)
        def warn(*args: Any, **kwargs: Any) -> Any:
            warnings.warn(message, DeprecationWarning, stacklevel=2)
            return function(*args, **kwargs)

        if cls:
            cls.__init__ = warn
            return it
        return cast(ObjectT, warn)

    return decorate
