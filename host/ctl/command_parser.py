# SPDX-License-Identifier: Apache-2.0
"""The parser of the command line, and how its help looks."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from kata_host.ctl.errors import UsageError


class _HelpFormatter(argparse.HelpFormatter):
    """Wraps paragraphs but no examples, splits no path, and writes a value once.

    The methods are those of argparse that a subclass may replace. Help looks the same
    under every version of Python.
    """

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        """Wrap the paragraphs of a description; one that is indented is an example."""
        return "\n\n".join(
            paragraph
            if paragraph.startswith("  ")
            else "\n".join(self._split_lines(paragraph, width))
            for paragraph in text.split("\n\n")
        )

    def _split_lines(self, text: str, width: int) -> list[str]:
        import textwrap

        words = " ".join(text.split())
        return textwrap.wrap(words, width, break_on_hyphens=False)

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
        self.intermixes = False
        """Whether options may be between the arguments, of which some are optional."""

    def parse_known_args(  # type: ignore[override]
        self,
        args: Sequence[str] | None = None,
        namespace: argparse.Namespace | None = None,
    ) -> tuple[argparse.Namespace, list[str]]:
        if not self.intermixes:
            return super().parse_known_args(args, namespace)
        # argparse itself takes an optional argument to be absent at the first option.
        self.intermixes = False
        try:
            return self.parse_known_intermixed_args(args, namespace)
        finally:
            self.intermixes = True

    def exit(self, status: int = 0, message: str | None = None) -> NoReturn:
        # Here, where an error is one of the command; at the end of Python it is noise.
        sys.stdout.flush()
        super().exit(status, message)

    def error(self, message: str) -> NoReturn:
        _, _, command = self.prog.partition(" ")
        where = f"{command}: " if command else ""
        raise UsageError(f"{where}{message} (see {self.prog} --help)")


def text(word: str) -> str:
    """Take a word that a message will hold. Raises `ArgumentTypeError`."""
    if not is_text(word):
        raise argparse.ArgumentTypeError(f"{os.fsencode(word)!r}: not UTF-8")
    return word


def is_text(word: str) -> bool:
    """Return whether a word of the command line is UTF-8."""
    # Python keeps other bytes of an argument as surrogates (PEP 383).
    return not any("\ud800" <= character <= "\udfff" for character in word)


def path(word: str) -> Path:
    """Read a path for an option. Raises `ArgumentTypeError`."""
    if not word:
        # `Path` would take it for the current directory.
        raise argparse.ArgumentTypeError("empty path")
    return Path(word)


def port(text: str) -> int:
    """Read a vsock port for an option. Raises `ValueError`."""
    value = int(text)
    if not 0 <= value < 2**32:
        raise ValueError(f"port {text!r}: not 32 bits")
    return value
