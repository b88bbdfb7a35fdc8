# SPDX-License-Identifier: Apache-2.0
"""Functions of the program that a server or a client calls when something happens."""

from __future__ import annotations

from collections.abc import Callable

from ttrpc.bound_service import is_coroutine
from ttrpc.errors import EXITS

Hook = Callable[..., object]


def check_hooks(**hooks: Hook | None) -> None:
    """Check the functions that were given, by the names of their arguments.

    Raises:
        TypeError: one is a coroutine function, which nobody would await.
    """
    for name, hook in hooks.items():
        if hook is not None and is_coroutine(hook):
            raise TypeError(f"{name}: {hook!r} must be a plain function")


def call_hook(name: str, hook: Hook | None, *arguments: object) -> None:
    """Call a function if there is one. Its errors are logged: no call is at fault.

    KeyboardInterrupt and SystemExit are raised.
    """
    if hook is None:
        return
    try:
        hook(*arguments)
    except EXITS:
        raise
    except BaseException:
        # Here, because scripts load no logging otherwise.
        import logging

        logging.getLogger(__name__).exception("%s hook failed", name)
