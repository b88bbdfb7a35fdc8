# SPDX-License-Identifier: Apache-2.0
"""A line for the user beside the output of a command."""

from __future__ import annotations

import sys

from kata_host.printable import printable


def remark(text: str) -> None:
    """Write a line on standard error, whatever a guest has put into the text."""
    print(f"kata-agent-ctl: {printable(text)}", file=sys.stderr)
