# SPDX-License-Identifier: Apache-2.0
"""The real collector `rotel`, and the ways to it from a guest's trace port.

rotel listens on TCP only, so socat stands between it and unix sockets.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest

FORWARDER: Final = (sys.executable, "-m", "kata_host.forwarder")
PATIENCE: Final = 20.0


@contextmanager
def program(
    *command: str, stop: int = signal.SIGTERM
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program for the `with` block, and end it by the signal `stop`."""
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    try:
        yield process
    finally:
        process.send_signal(stop)
        process.send_signal(signal.SIGCONT)  # For one that a test has stopped.
        process.communicate(timeout=PATIENCE)


def eventually(condition: Callable[[], bool], name: str) -> None:
    """Wait until `condition` holds for the program `name`."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, f"{name} was not ready in time"
        time.sleep(0.01)


def free_port() -> int:
    with socket.socket() as it:
        it.bind(("127.0.0.1", 0))
        port: int = it.getsockname()[1]
        return port


def answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


@contextmanager
def rotel(directory: Path, port: int, sink: int) -> Iterator[subprocess.Popen[bytes]]:
    """Run rotel: it takes OTLP on `port` and sends it on to `sink`, both loopback."""
    spec = importlib.util.find_spec("rotel")
    assert spec is not None, "rotel is not installed, run make setup"
    assert spec.origin is not None
    binary = Path(spec.origin).parent / "rotel-agent"
    with program(
        str(binary),
        "start",
        f"--otlp-http-endpoint=127.0.0.1:{port}",
        f"--otlp-grpc-endpoint=127.0.0.1:{free_port()}",
        f"--pid-file={directory}/pid",
        f"--log-file={directory}/log",
        "--exporter=otlp",
        "--otlp-exporter-protocol=http",
        f"--otlp-exporter-endpoint=http://127.0.0.1:{sink}",
    ) as process:
        eventually(lambda: answers(port), "rotel")
        yield process


@contextmanager
def tcp_to(path: Path, port: int) -> Iterator[None]:
    """Run socat from a TCP port to a unix socket."""
    listen = f"TCP-LISTEN:{port},bind=127.0.0.1,fork,reuseaddr"
    with program(_socat(), listen, f"UNIX-CONNECT:{path}"):
        eventually(lambda: answers(port), "socat")
        yield


@contextmanager
def socat(guest: Path, port: int) -> Iterator[None]:
    """Run socat from the trace port of a guest's socket to a collector's TCP port."""
    trace_port = Path(f"{guest}_10240")
    with program(_socat(), f"UNIX-LISTEN:{trace_port},fork", f"TCP:127.0.0.1:{port}"):
        eventually(trace_port.exists, "socat")
        yield


@contextmanager
def forwarder(guest: Path, port: int) -> Iterator[None]:
    """Run our forwarder in place of `socat`."""
    with program(
        *FORWARDER,
        f"--listen=hvsock://{guest}:10240",
        f"--to=http://127.0.0.1:{port}",
    ):
        eventually(Path(f"{guest}_10240").exists, "forwarder")
        yield


def _socat() -> str:
    path = shutil.which("socat")
    if path is None:
        reason = "needs socat"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    return path
