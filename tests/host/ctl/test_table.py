# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import argparse

import pytest

from kata_host.ctl.table import add_format_option, print_table


def test_columns_are_as_wide_as_their_cells(capsys: pytest.CaptureFixture[str]) -> None:
    print_table([("A", "LONG", "C"), ("longer", "b", "")])
    assert capsys.readouterr().out == "A       LONG  C\nlonger  b\n"


def test_a_format_is_a_table_or_json() -> None:
    parser = argparse.ArgumentParser()
    add_format_option(parser)
    assert parser.parse_args([]).format == "table"
    assert parser.parse_args(["--format=json"]).format == "json"
