# SPDX-License-Identifier: Apache-2.0
"""The programs that are measured: servers and clients, ours and others'."""

from __future__ import annotations

import importlib.metadata
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Final

from bench.budget import agent_command, connect
from bench.ttrpc.built import crate_version, floor_program, rust_program
from kata_host.child import PACKAGES, module_command
from tests.helpers.interop import ROOT, build, go_peer

GO, OURS = "Go", "ours"
PEERS: Final = (GO, OURS)
FLOOR, RUST = "floor", "ttrpc-rust"
GRPC_AIO, GRPCLIB = "grpc.aio", "grpclib"
LOOP, CALLBACK = "recv loop", "asyncio callback"
LEAST = "least server"

PROGRAMS: Final = {GO: ("go",), RUST: ("cargo", "gcc"), FLOOR: ("gcc",)}
"""What builds a peer. rustc links with gcc."""
DISTRIBUTIONS: Final = {GRPC_AIO: "grpcio", GRPCLIB: "grpclib"}
"""What a peer imports, by its name on PyPI."""
BARE_WAYS: Final = {LOOP: "loop", CALLBACK: "asyncio"}
"""Ways of `bench.ttrpc.bare`."""
GRPC_MODULES: Final = {GRPC_AIO: "aio", GRPCLIB: "grpclib"}


def missing(name: str) -> str | None:
    """Tell what this machine lacks to run a peer; None if that is nothing."""
    for program in PROGRAMS.get(name, ()):
        if shutil.which(program) is None:
            return f"{program} is not installed"
    if name in DISTRIBUTIONS and version(name) is None:
        return f"the Python package {DISTRIBUTIONS[name]} is not installed"
    return None


def prepare(name: str) -> None:
    """Build the program of a peer, if it has one that has not been built.

    Raises:
        RuntimeError: this machine lacks something, or the build failed.
    """
    lacking = missing(name)
    if lacking is not None:
        raise RuntimeError(lacking)
    if name == GO:
        try:
            build()
        except subprocess.CalledProcessError as error:
            raise RuntimeError(f"{error.cmd[0]}: {error.stderr.strip()}") from error
    elif name == FLOOR:
        floor_program()
    elif name == RUST:
        rust_program()


def version(name: str) -> str | None:
    """Return the release of a peer's library; None if it has none, or not here."""
    if name == RUST:
        return crate_version("ttrpc")
    try:
        return importlib.metadata.version(DISTRIBUTIONS[name])
    except (KeyError, importlib.metadata.PackageNotFoundError):
        return None


@contextmanager
def servers(directory: Path, names: Iterable[str] = PEERS) -> Iterator[dict[str, str]]:
    """Run the servers; their addresses, by name."""
    with ExitStack() as stack:
        addresses = {}
        for name in names:
            addresses[name] = str(directory / f"{name}.sock")
            stack.enter_context(server(name, addresses[name]))
        yield addresses


@contextmanager
def server(name: str, address: str) -> Iterator[subprocess.Popen[str]]:
    """Run one server of `peer.v1` on a unix socket."""
    if name == GO:
        running = go_peer(build(), address)
    elif name == OURS:
        running = python_peer(address)
    elif name == FLOOR:
        running = ready(name, [str(floor_program()), address])
    elif name == RUST:
        running = ready(name, [str(rust_program()), address])
    elif name in BARE_WAYS:
        way = BARE_WAYS[name]
        running = ready(name, module_command("bench.ttrpc.bare", way, address))
    elif name == LEAST:
        running = ready(name, module_command("bench.ttrpc.least", address))
    else:
        module = f"bench.ttrpc.grpc.{GRPC_MODULES[name]}_server"
        running = ready(name, module_command(module, address))
    with running as process:
        yield process


@contextmanager
def python_peer(
    address: str, *arguments: str, stderr: int | IO[str] | None = None
) -> Iterator[subprocess.Popen[str]]:
    """Run our server of `peer.v1` on a unix socket's path or `@name`."""
    command = module_command("bench.ttrpc.server", *arguments, address)
    with ready("our server", command, stderr=stderr) as process:
        yield process


@contextmanager
def ready(
    name: str, command: list[str], *, stderr: int | IO[str] | None = None
) -> Iterator[subprocess.Popen[str]]:
    """Run a server that prints "ready", and ends with its standard input at the latest.

    Raises:
        RuntimeError: it did not get ready; what it says is on its standard error.
    """
    process = subprocess.Popen(
        command,
        env=environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=stderr,
        text=True,
    )
    with process:
        try:
            assert process.stdout is not None
            if process.stdout.readline() != "ready\n":
                raise RuntimeError(f"{name} on {command[-1]}: did not start")
            yield process
        finally:
            process.kill()


@contextmanager
def agent(address: str) -> Iterator[None]:
    """Run the agent, as it is in a guest but without a sandbox, on a unix socket."""
    with subprocess.Popen(
        [*agent_command(sys.executable), "--listen", f"unix://{address}"],
        stdout=subprocess.DEVNULL,
    ) as process:
        try:
            connect(Path(address), process).close()
            yield
        finally:
            process.terminate()


def client(name: str) -> list[str]:
    """The command of a load generator; all take the same options."""
    if name == GO:
        return [str(build() / "bench")]
    if name == OURS:
        return module_command("bench.ttrpc.client")
    return module_command(f"bench.ttrpc.grpc.{GRPC_MODULES[name]}_client")


def environment() -> dict[str, str]:
    """The environment in which a child finds `bench` and our packages."""
    return {**os.environ, "PYTHONPATH": f"{PACKAGES}:{ROOT}"}
