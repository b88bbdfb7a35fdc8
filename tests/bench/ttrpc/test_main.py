# SPDX-License-Identifier: Apache-2.0
"""The command line: which parts run, and what stops them."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from bench.document import README
from bench.ttrpc.__main__ import find_faults, is_named
from bench.ttrpc.cells import Cell
from bench.ttrpc.parts import PARTS
from bench.ttrpc.peers import GRPC_AIO, GRPCLIB, environment
from kata_host.child import module_command


def run(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        module_command("bench.ttrpc", *arguments),
        env={**environment(), **variables},
        capture_output=True,
        text=True,
    )


def test_every_section_is_in_the_document() -> None:
    text = README.read_text()
    for section in (f"ttrpc-{name}" for name in PARTS):
        assert text.count(f"<!-- {section}:") == text.count(f"<!-- /{section} -->") == 1


def test_an_unknown_part_is_refused_by_name() -> None:
    done = run("sharse")
    assert done.returncode == 2
    assert "part 'sharse': none of server, client" in done.stderr


def test_a_part_of_a_table_is_not_written() -> None:
    done = run("--write", "--cell", "bidi:0:1")
    assert done.returncode == 2
    assert "--write: a table has all cells" in done.stderr


def test_missing_toolchains_are_named_before_anything_is_measured(
    tmp_path: Path,
) -> None:
    done = run("--write", "shares", PATH=str(tmp_path))
    assert done.returncode == 2
    assert not done.stdout
    for fault in (
        "peer 'Go': go is not installed;",
        "peer 'floor': gcc is not installed (or --without floor)",
        "peer 'ttrpc-rust': cargo is not installed (or --without ttrpc-rust)",
    ):
        assert fault in done.stderr


def test_a_peer_that_is_left_out_need_not_be_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("bench.ttrpc.peers.version", lambda name: None)
    assert find_faults(["pairs"], [GRPC_AIO]) == [
        "peer 'grpclib': the Python package grpclib is not installed "
        "(or --without grpclib)"
    ]


def test_something_must_be_left_to_compare_with() -> None:
    assert find_faults(["pairs"], [GRPC_AIO, GRPCLIB]) == [
        "part 'pairs': nothing is left to compare with"
    ]


@pytest.mark.parametrize(
    ("name", "named"),
    [
        ("bidi", True),
        ("bidi:64", True),
        ("bidi:64:8", True),
        ("unary", False),
        ("bidi:6", False),
        ("bidi:64:1", False),
    ],
)
def test_cells_are_chosen_by_name(name: str, named: bool) -> None:
    assert is_named(Cell("bidi", 64, 8), [name]) is named
    assert is_named(Cell("bidi", 64, 8), None)
