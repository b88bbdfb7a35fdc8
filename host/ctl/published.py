# SPDX-License-Identifier: Apache-2.0
"""Ports of this host on the command line, for argparse."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from kata_host.ctl.command_parser import text

if TYPE_CHECKING:
    from kata_host.forwarding.published_port import PublishedPort


def published_port(word: str, *, same: bool = False) -> PublishedPort:
    """Read `[[ADDRESS:]PORT:]TARGET`; see `PublishedPort.parse`.

    argparse keeps to itself what a `ValueError` says: raises `ArgumentTypeError`.
    """
    from kata_host.forwarding.published_port import PublishedPort

    try:
        return PublishedPort.parse(text(word), same=same)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
