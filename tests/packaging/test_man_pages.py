# SPDX-License-Identifier: Apache-2.0
"""The manual pages are whole, and both of Debian's readers are content with them."""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

import pytest

from kata_host.ctl.program import make_parser
from tests.helpers.shells import require_programs
from tests.helpers.source_tree import ROOT


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    prefix = tmp_path_factory.mktemp("prefix")
    subprocess.run([sys.executable, ROOT / "docs/tools/share.py", prefix], check=True)
    return sorted((prefix / "share/man/man1").iterdir())


def shown(page: Path) -> str:
    """Return what a person reads on a wide terminal."""
    done = subprocess.run(
        ["groff", "-man", "-ww", "-rLL=2000n", "-Tutf8", "-P-cbou", page],
        capture_output=True,
        text=True,
        check=True,
    )
    assert not done.stderr
    return done.stdout


def test_mandoc_and_groff_have_no_warning(pages: list[Path]) -> None:
    require_programs("mandoc", "groff")
    done = subprocess.run(
        ["mandoc", "-Tlint", "-Wwarning", *pages], capture_output=True, text=True
    )
    assert not done.stdout + done.stderr
    for page in pages:
        shown(page)


def test_every_command_has_a_page_with_its_options(pages: list[Path]) -> None:
    require_programs("groff")
    by_name = {page.stem: page for page in pages}
    unread = dict(by_name)

    def check(name: str, parser: argparse.ArgumentParser) -> None:
        text = shown(unread.pop(name))
        assert f"\n       {name} - " in text
        for action in parser._actions:
            if isinstance(action, argparse._SubParsersAction):
                for word, command in action.choices.items():
                    assert f"{name}-{word}(1)" in text
                    check(f"{name}-{word}", command)
            elif not isinstance(action, argparse._HelpAction):
                names = action.option_strings or [str(action.metavar)]
                assert all(each in text for each in names)
                help = str(action.help).partition("%")[0]
                assert " ".join(help.split()) in " ".join(text.split())

    check("kata-agent-ctl", make_parser())
    assert list(unread) == ["kata-trace-forwarder"]


def test_a_page_shows_a_word_with_a_quote_or_a_dot_first(pages: list[Path]) -> None:
    """At the beginning of a line of the source, roff takes these for requests."""
    require_programs("groff")
    (page,) = [page for page in pages if page.stem == "kata-agent-ctl-guest-start"]
    assert "lower-case letters, digits, '_', '.' and '-'" in shown(page)


def test_paragraphs_stay_apart_and_examples_are_as_typed(pages: list[Path]) -> None:
    require_programs("groff")
    (page,) = [page for page in pages if page.stem == "kata-agent-ctl-run"]
    text = shown(page)
    assert "\n\n       With --detach the container stays" in text
    assert (
        "\n       kata-agent-ctl run -it --guest one --memory 64m -e A=b -- sh\n"
        in text
    )
