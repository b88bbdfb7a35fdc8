# SPDX-License-Identifier: Apache-2.0
"""The programs that are measured: Go's server and client, and ours."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Final

from bench.budget import agent_command, connect
from kata_host.child import PACKAGES, module_command
from tests.helpers.interop import ROOT, build, go_peer

GO, OURS = "Go", "ours"
PEERS: Final = (GO, OURS)


@contextmanager
def servers(directory: Path) -> Iterator[dict[str, str]]:
    """Run both servers; their addresses, by name."""
    with ExitStack() as stack:
        addresses = {}
        for name in PEERS:
            addresses[name] = str(directory / f"{name}.sock")
            stack.enter_context(server(name, addresses[name]))
        yield addresses


@contextmanager
def server(name: str, address: str) -> Iterator[subprocess.Popen[str]]:
    """Run one server of `peer.v1` on a unix socket."""
    if name == GO:
        with go_peer(build(), address) as process:
            yield process
    else:
        with python_peer(address) as process:
            yield process


@contextmanager
def python_peer(
    address: str, *arguments: str, stderr: int | IO[str] | None = None
) -> Iterator[subprocess.Popen[str]]:
    """Run our server of `peer.v1` on a unix socket's path or `@name`."""
    process = subprocess.Popen(
        module_command("bench.ttrpc.server", *arguments, address),
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
                raise RuntimeError(f"our server on {address}: did not start")
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
    """The command of a load generator; both take the same options."""
    if name == GO:
        return [str(build() / "bench")]
    return module_command("bench.ttrpc.client")


def environment() -> dict[str, str]:
    """The environment in which a child finds `bench` and our packages."""
    return {**os.environ, "PYTHONPATH": f"{PACKAGES}:{ROOT}"}
