# SPDX-License-Identifier: Apache-2.0
"""The parts load the peers that they name, and say which releases they are."""

from __future__ import annotations

import importlib.metadata
import tomllib
from collections.abc import Sequence
from pathlib import Path

import pytest

from bench.ttrpc import parts
from bench.ttrpc.built import RUST as RUST_FOLDER
from bench.ttrpc.built import crate_version
from bench.ttrpc.cells import Cell, Comparison, Load, Sample
from bench.ttrpc.peers import FLOOR, GRPC_AIO, OURS, missing
from tests.helpers.interop import require_go


def test_pairs_load_each_server_with_its_own_client(tmp_path: Path) -> None:
    """Of real servers; grpcio comes with the compiler of `.proto` files."""
    cell = Cell("unary", 64, 1)

    def measure(
        cells: Sequence[Cell], load: Load, sides: Sequence[str]
    ) -> list[Comparison]:
        assert cell in cells
        samples: dict[str, Sample] = {side: load(side, cell, 10) for side in sides}
        return [Comparison(cell, samples, {GRPC_AIO: 4.0}, {})]

    text = parts.pairs_text(tmp_path, measure, [GRPC_AIO, OURS])
    assert f"Releases: grpc.aio {importlib.metadata.version('grpcio')}." in text
    assert "| mode | size | in flight | grpc.aio/s | ours/s | ours/grpc.aio |" in text


@pytest.mark.interop
def test_shares_load_each_server_with_the_go_client(tmp_path: Path) -> None:
    require_go()
    if (lacking := missing(FLOOR)) is not None:
        pytest.skip(lacking)
    cell = Cell("bidi", 64, 1)

    def measure(
        cells: Sequence[Cell], load: Load, sides: Sequence[str]
    ) -> list[Comparison]:
        assert cell in cells
        samples: dict[str, Sample] = {side: load(side, cell, 10) for side in sides}
        return [Comparison(cell, samples, {FLOOR: 0.6}, {})]

    text = parts.shares_text(tmp_path, measure, [FLOOR, OURS])
    assert "floor: 0 of 1 cells reach the goal." in text
    assert "Releases" not in text


def test_the_crate_is_of_the_release_that_is_named() -> None:
    wanted = tomllib.loads((RUST_FOLDER / "Cargo.toml").read_text())["dependencies"]
    assert crate_version("ttrpc").startswith(wanted["ttrpc"]["version"] + ".")
