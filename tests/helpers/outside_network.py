# SPDX-License-Identifier: Apache-2.0
"""A network that a guest can reach, in a namespace of the test's own.

    python -m tests.helpers.outside_network DIRECTORY

runs in new network and mount namespaces: the host `ADDRESS`, a web server on it and one
on its loopback, and a name server on its loopback, which /etc/resolv.conf names there.
Nothing leads out of it. It ends with its standard input.
"""

from __future__ import annotations

import contextlib
import functools
import http.server
import os
import shutil
import socket
import socketserver
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import pytest

from tests.helpers.namespace import require_root

ADDRESS: Final = "198.51.100.1"
"""Of a network for documentation (RFC 5737)."""
NAME: Final = "service.test"
PORT: Final = 8080
LOOPBACK_PORT: Final = 8081
CONTENT: Final = "reached"
_DNS_TYPE_A: Final = b"\0\1"


class OutsideNetwork:
    """The namespaces of a running `python -m tests.helpers.outside_network`."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._namespace = os.readlink(f"/proc/{pid}/ns/net")

    def command(self, *words: str) -> list[str]:
        """Return the command that runs `words` in the namespaces, in one process."""
        here = f"--wd={os.getcwd()}"
        return ["nsenter", "--net", "--mount", here, f"--target={self._pid}", *words]

    def processes(self) -> list[int]:
        """Return the pids in the network namespace, less that of the servers."""
        return [
            int(process.name)
            for process in Path("/proc").glob("[0-9]*")
            if int(process.name) != self._pid and self._has(process)
        ]

    def _has(self, process: Path) -> bool:
        try:
            return os.readlink(process / "ns/net") == self._namespace
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            return False


@contextlib.contextmanager
def outside_network(directory: Path) -> Iterator[OutsideNetwork]:
    """Hold such a network for the block; `directory` is for its files."""
    require_root()
    program = [sys.executable, "-m", __name__, str(directory)]
    servers = subprocess.Popen(
        ["unshare", "--net", "--mount", *program],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert servers.stdin is not None
    assert servers.stdout is not None
    try:
        assert servers.stdout.readline() == b"ready\n"
        yield OutsideNetwork(servers.pid)
    finally:
        servers.stdin.close()
        servers.wait()
        servers.stdout.close()


def require_slirp() -> None:
    """Skip without slirp4netns; in CI that is a failure."""
    if shutil.which("slirp4netns"):
        return
    reason = "needs slirp4netns (package slirp4netns)"
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


class _Pages(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(CONTENT.encode())

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


class _Names(socketserver.BaseRequestHandler):
    """Answers with `ADDRESS` for `NAME`, and that there is no other name (RFC 1035)."""

    def handle(self) -> None:
        query, server = self.request
        end = query.index(b"\0", 12) + 5
        labels = b"".join(bytes([len(x)]) + x.encode() for x in NAME.split("."))
        is_known = query[12 : end - 5].lower() == labels
        has_answer = is_known and query[end - 4 : end - 2] == _DNS_TYPE_A
        flags = b"\x81\x80" if is_known else b"\x81\x83"
        reply = query[:2] + flags + b"\0\1\0" + bytes([has_answer]) + bytes(4)
        reply += query[12:end]
        if has_answer:
            # A pointer to the name in the question, A, IN, 60 s, 4 bytes.
            reply += b"\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4" + socket.inet_aton(ADDRESS)
        server.sendto(reply, self.client_address)


def _run(*words: str) -> None:
    subprocess.run(words, check=True)


def _serve(directory: Path) -> None:
    _run("ip", "link", "set", "dev", "lo", "up")
    _run("ip", "tuntap", "add", "dev", "world", "mode", "tap")
    _run("ip", "address", "add", f"{ADDRESS}/24", "dev", "world")
    _run("ip", "link", "set", "dev", "world", "up")
    resolv = directory / "resolv.conf"
    resolv.write_text("nameserver 127.0.0.1\n")
    _run("mount", "--bind", str(resolv), "/etc/resolv.conf")
    web = functools.partial(http.server.ThreadingHTTPServer, RequestHandlerClass=_Pages)
    servers: Sequence[socketserver.BaseServer] = [
        web((ADDRESS, PORT)),
        web(("127.0.0.1", LOOPBACK_PORT)),
        socketserver.UDPServer(("127.0.0.1", 53), _Names),
    ]
    for server in servers:
        threading.Thread(target=server.serve_forever, daemon=True).start()
    print("ready", flush=True)
    sys.stdin.read()
    # The mount, the link and the sockets end with the namespaces.
    resolv.unlink()


if __name__ == "__main__":
    _serve(Path(sys.argv[1]))
