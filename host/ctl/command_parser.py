# SPDX-License-Identifier: Apache-2.0
"""The parser of the command line, and how its help looks."""

from __future__ import annotations

import argparse
from typing import NoReturn

from kata_host.ctl.errors import UsageError


class _HelpFormatter(argparse.HelpFormatter):
    """Wraps paragraphs, keeps indented ones, and writes a value once an option.

    The two methods are argparse's own, for a subclass to replace; so help looks the
    same under every version of Python.
    """

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        wrap = super()._fill_text
        return "\n\n".join(
            paragraph if paragraph.startswith("  ") else wrap(paragraph, width, indent)
            for paragraph in text.split("\n\n")
        )

    def _format_action_invocation(self, action: argparse.Action) -> str:
        names = ", ".join(action.option_strings)
        if not names or action.nargs == 0:
            return names or super()._format_action_invocation(action)
        metavar = self._get_default_metavar_for_optional(action)
        return f"{names} {self._format_args(action, metavar)}"


class CommandParser(argparse.ArgumentParser):
    """Raises `UsageError`, so that each command has its own exit status for it."""

    def __init__(
        self,
        *,
        prog: str | None = None,
        usage: str | None = None,
        description: str | None = None,
        epilog: str | None = None,
    ) -> None:
        super().__init__(
            prog=prog,
            usage=usage,
            description=description,
            epilog=epilog,
            formatter_class=_HelpFormatter,
            allow_abbrev=False,
        )

    def error(self, message: str) -> NoReturn:
        _, _, command = self.prog.partition(" ")
        where = f"{command}: " if command else ""
        raise UsageError(f"{where}{message} (see {self.prog} --help)")


def seconds(text: str) -> float:
    """Read a duration for an option. Raises `ValueError`."""
    value = float(text)
    if not 0 <= value < float("inf"):
        raise ValueError(f"duration {text!r}: not a positive number")
    return value
