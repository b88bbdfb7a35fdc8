# SPDX-License-Identifier: Apache-2.0
"""A forked child of the test, for calls that change the process that makes them."""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable

from tests.helpers.namespace import require_root


def in_child(body: Callable[[], None]) -> None:
    """Run `body` in a forked child; its failure becomes ours."""
    require_root()
    reader, writer = os.pipe()
    pid = os.fork()
    if not pid:
        try:
            body()
        except BaseException:
            os.write(writer, traceback.format_exc().encode())
        finally:
            os._exit(0)
    os.close(writer)
    with open(reader) as file:
        failure = file.read()
    os.waitpid(pid, 0)
    assert not failure, failure
