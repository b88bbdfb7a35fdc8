# SPDX-License-Identifier: Apache-2.0
"""The other libraries' servers do serve what is measured."""

from __future__ import annotations

import importlib.metadata
import shutil
from collections.abc import AsyncIterator, Iterator
from itertools import chain, combinations
from pathlib import Path

import pytest
from google.protobuf.wrappers_pb2 import BytesValue, UInt64Value

from bench.ttrpc import built
from bench.ttrpc.cells import Cell, run
from bench.ttrpc.client import ECHO
from bench.ttrpc.peers import (
    CALLBACK,
    FLOOR,
    GRPC_AIO,
    GRPCLIB,
    LEAST,
    LOOP,
    OURS,
    RUST,
    client,
    missing,
    server,
)
from ttrpc.aio import Client

SIZES = (0, 64, 127, 128, 1 << 20)


def require(name: str) -> None:
    """Skip the test where a peer is missing, in CI too: it is no part of ours."""
    lacking = missing(name)
    if lacking is not None:
        pytest.skip(f"{name}: {lacking}")


@pytest.fixture(
    params=[
        FLOOR,
        # Builds a hundred crates, once.
        pytest.param(RUST, marks=[pytest.mark.slow, pytest.mark.timeout(600)]),
    ]
)
def address(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    require(request.param)
    path = str(tmp_path / "peer.sock")
    with server(request.param, path):
        yield path


@pytest.fixture
async def caller(address: str) -> AsyncIterator[Client]:
    async with await Client.connect(f"unix://{address}", timeout=5) as caller:
        yield caller


async def test_unary_echo(caller: Client) -> None:
    for size in SIZES:
        message = BytesValue(value=b"a" * size)
        assert await caller.call(ECHO["Echo"], message) == message


async def test_stream_echo(caller: Client) -> None:
    messages = [BytesValue(value=b"a" * size) for size in SIZES]
    async with await caller.open_stream(ECHO["EchoStream"]) as stream:
        for message in messages:
            await stream.send(message)
            assert await stream.recv() == message
        await stream.close_send()
        assert await stream.recv() is None


async def test_upload(caller: Client, request: pytest.FixtureRequest) -> None:
    async with await caller.open_stream(ECHO["Upload"]) as stream:
        for size in SIZES:
            await stream.send(BytesValue(value=bytes(size)))
        await stream.close_send()
        total = await stream.recv()
    assert total is not None
    if RUST in request.node.name:
        # ttrpc-rust 0.9 loses messages of uploads on a busy machine, and makes none up.
        some = chain.from_iterable(combinations(SIZES, n) for n in range(6))
        assert total.value in {len(them) << 32 | sum(them) for them in some}
    else:
        assert total.value == len(SIZES) << 32 | sum(SIZES)


async def test_download(caller: Client) -> None:
    for size in SIZES:
        wanted = UInt64Value(value=3 << 32 | size)
        async with await caller.open_stream(ECHO["Download"], wanted) as stream:
            got = [message async for message in stream]
        assert got == [BytesValue(value=bytes(size))] * 3


@pytest.mark.parametrize("name", [LOOP, CALLBACK, LEAST])
@pytest.mark.parametrize("in_flight", [1, 8])
def test_a_bare_server_echoes_streams(
    name: str, in_flight: int, tmp_path: Path
) -> None:
    """A generator fails unless it gets back the message that it sent."""
    path = str(tmp_path / "peer.sock")
    with server(name, path) as process:
        for _ in range(2):
            assert run(client(OURS), path, Cell("bidi", 64, in_flight), 20).rate > 0
        assert process.poll() is None


@pytest.mark.parametrize("name", [GRPC_AIO, GRPCLIB, OURS])
@pytest.mark.parametrize("mode", ["unary", "bidi"])
def test_a_pair_measures(name: str, mode: str, tmp_path: Path) -> None:
    """A generator fails unless it gets back the message that it sent."""
    require(name)
    path = str(tmp_path / "peer.sock")
    with server(name, path):
        sample = run(client(name), path, Cell(mode, 64, 2), 10)
    assert sample.rate > 0
    assert sample.p50 is not None


def test_a_load_that_fails_says_why(tmp_path: Path) -> None:
    path = str(tmp_path / "nobody.sock")
    with pytest.raises(RuntimeError, match=f"^load on {path}: (?s:.*)'upload'"):
        run(client(OURS), path, Cell("upload", 64), 10)


def test_a_peer_that_does_not_start_is_named(tmp_path: Path) -> None:
    require(FLOOR)
    path = str(tmp_path / ("a" * 200))
    with pytest.raises(RuntimeError, match="^floor on .*: did not start"):
        with server(FLOOR, path):
            pass


@pytest.mark.parametrize(
    ("name", "program"), [(RUST, "cargo"), (FLOOR, "gcc"), ("Go", "go")]
)
def test_a_missing_toolchain_is_named(
    name: str, program: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = shutil.which

    def which(asked: str) -> str | None:
        return None if asked == program else there(asked) or "/usr/bin/true"

    monkeypatch.setattr(shutil, "which", which)
    assert missing(name) == f"{program} is not installed"
    assert missing(OURS) is None


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def version(name: str) -> str:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr("importlib.metadata.version", version)
    assert missing(GRPCLIB) == "the Python package grpclib is not installed"


def test_a_failed_build_says_what_the_compiler_said(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    require(FLOOR)
    source = tmp_path / "floor" / "floor.c"
    source.parent.mkdir()
    source.write_text("int main(void) { return missing; }\n")
    monkeypatch.setattr(built, "FLOOR", source.parent)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with pytest.raises(RuntimeError, match="gcc: (?s:.*)missing"):
        built.floor_program()
    source.write_text("int main(void) { return 0; }\n")
    program = built.floor_program()
    assert program == built.floor_program()
    assert not list(program.parent.glob("*.building"))
