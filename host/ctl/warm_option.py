# SPDX-License-Identifier: Apache-2.0
"""The option that has a VM restored from a snapshot."""

from __future__ import annotations

import argparse

from kata_host.ctl.errors import UsageError


def add_warm_option(parser: argparse._ActionsContainer, more: str = "") -> None:
    parser.add_argument(
        "--warm",
        action="store_true",
        help="with --vm: restore the VM from a snapshot, which the first start of its "
        f"kind makes, instead of booting it{more}",
    )


def check_warm(options: argparse.Namespace) -> None:
    """Raise `UsageError` if there is no VM to restore."""
    if options.warm and not options.vm:
        raise UsageError("--warm: needs --vm")
