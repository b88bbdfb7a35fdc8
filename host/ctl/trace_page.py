# SPDX-License-Identifier: Apache-2.0
"""The file of `--html`, tried before there is a trace that could be lost."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from kata_host.ctl.errors import CommandError
from kata_host.trace.received_span import ReceivedSpan


def check_page(path: Path) -> None:
    """Raise `CommandError` if the file cannot be written; what it holds stays."""
    try:
        path.open("ab").close()
    except OSError as error:
        raise CommandError(f"{path}: {error.strerror}") from error


def write_page(path: Path, spans: Iterable[ReceivedSpan]) -> None:
    """Write the page of `spans`. Raises `CommandError`."""
    from kata_host.trace.page.render import render_page

    try:
        path.write_text(render_page(spans), encoding="utf-8")
    except OSError as error:
        raise CommandError(f"{path}: {error.strerror}") from error
