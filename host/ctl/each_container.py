# SPDX-License-Identifier: Apache-2.0
"""One thing done to each of several containers: a failure does not end the others."""

from __future__ import annotations

import argparse
from collections.abc import Awaitable, Callable

from kata_host.ctl.errors import (
    FAILED,
    CommandError,
    guest_errors_as_command_errors,
)
from kata_host.ctl.found_container import FoundContainer, find_container
from kata_host.ctl.remark import remark
from kata_host.ctl.signals import run


def for_each(
    options: argparse.Namespace, do: Callable[[FoundContainer], Awaitable[str]]
) -> int:
    """Print what `do` returns for each container of the options, or why it failed."""
    failed = False
    for word in options.containers:
        try:
            with guest_errors_as_command_errors():
                print(run(_done(do, find_container(word, options))), flush=True)
        except CommandError as error:
            remark(str(error))
            failed = True
    return FAILED if failed else 0


async def _done(
    do: Callable[[FoundContainer], Awaitable[str]], found: FoundContainer
) -> str:
    return await do(found)
