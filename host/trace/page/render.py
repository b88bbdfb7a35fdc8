# SPDX-License-Identifier: Apache-2.0
"""Spans as one HTML page: a waterfall that needs no network."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable
from importlib.resources import files
from string import Template
from typing import Final

from kata_host.trace.page.page_data import page_data
from kata_host.trace.received_span import ReceivedSpan

SCRIPTS: Final = ("spans.js", "rows.js", "saving.js", "view.js", "controls.js")
"""The scripts, in the order in which they use one another."""


def render_page(spans: Iterable[ReceivedSpan]) -> str:
    """Return the page. A guest's text is text in it, never markup.

    The browser runs the page's script and no other: the page's own policy has the hash
    of it, and lets nothing be loaded.
    """
    script = "".join(map(_read, SCRIPTS))
    style = _read("page.css")
    return Template(_read("page.html")).substitute(
        style=style,
        style_hash=_hash(style),
        script=script,
        script_hash=_hash(script),
        data=page_data(spans),
    )


def _read(name: str) -> str:
    return files("kata_host.trace.page").joinpath(name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    """Return the hash of an inline element, as Content Security Policy 3 writes it."""
    digest = hashlib.sha256(text.encode()).digest()
    return f"sha256-{base64.b64encode(digest).decode()}"
