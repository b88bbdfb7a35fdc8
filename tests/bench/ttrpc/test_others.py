# SPDX-License-Identifier: Apache-2.0
"""Columns are left out by name, not silently."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from bench.ttrpc import others
from bench.ttrpc.cells import Cell, Comparison, Load, Sample
from bench.ttrpc.peers import FLOOR, GO, GRPC_AIO, GRPCLIB, OURS, RUST


def lacking(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    def missing(name: str) -> str | None:
        return f"{name}'s tool is not installed" if name in names else None

    monkeypatch.setattr(others, "missing", missing)


def unmeasured(
    cells: Sequence[Cell], load: Load, sides: Sequence[str]
) -> list[Comparison]:
    raise AssertionError(f"measured {sides}")


def test_choose_keeps_the_order_and_gives_reasons(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lacking(monkeypatch, RUST)
    assert others.choose(others.SERVERS) == (
        [FLOOR, OURS],
        ["ttrpc-rust is left out: ttrpc-rust's tool is not installed."],
    )


def test_shares_need_the_go_client(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    lacking(monkeypatch, GO)
    text = others.shares_part(tmp_path, unmeasured)
    assert "Left out: the client is Go's, and Go's tool is not installed." in text


def test_nothing_is_measured_without_another_peer(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    lacking(monkeypatch, GRPC_AIO, GRPCLIB)
    text = others.pairs_part(tmp_path, unmeasured)
    assert "grpc.aio is left out" in text
    assert "grpclib is left out" in text
    assert text.endswith("No cell was measured.")


def test_pairs_load_each_server_with_its_own_client(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Of real servers, with the one peer that the tests' environment has."""
    lacking(monkeypatch, GRPCLIB)
    cell = Cell("unary", 64, 1)

    def measure(
        cells: Sequence[Cell], load: Load, sides: Sequence[str]
    ) -> list[Comparison]:
        assert cell in cells
        samples: dict[str, Sample] = {side: load(side, cell, 10) for side in sides}
        return [Comparison(cell, samples, {GRPC_AIO: 4.0}, {})]

    text = others.pairs_part(tmp_path, measure)
    assert "| mode | size | in flight | grpc.aio/s | ours/s | ours/grpc.aio |" in text
    assert "grpclib is left out: grpclib's tool is not installed." in text
