# SPDX-License-Identifier: Apache-2.0
"""No user, group or capability of root is left once the sockets are bound."""

from __future__ import annotations

import pwd
import subprocess
import sys
from pathlib import Path

from kata_tracing.span import span
from kata_tracing.tracing import Tracing
from tests.helpers.collector import FORWARDER, program
from tests.helpers.namespace import require_root
from tests.helpers.trace_port import FakeCollector


def status_of(pid: int) -> dict[str, list[str]]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {
        name: value.split() for name, _, value in (it.partition(":") for it in lines)
    }


async def test_root_becomes_nobody(tmp_path: Path) -> None:
    """The forwarder still takes spans."""
    require_root()
    nobody = pwd.getpwnam("nobody")
    private = tmp_path / "private"
    private.mkdir(mode=0o700)
    guest = FakeCollector(private / "guest.sock_10240")
    file = private / "spans.jsonl"
    tracing = Tracing(guest.connect, flush_timeout=20)
    with program(
        *FORWARDER, f"--listen=hvsock://{private}/guest.sock:10240", f"--file={file}"
    ) as forwarder:
        await tracing.start("isolated")
        with span("a.b", subsystem="test"):
            pass
        await tracing.stop()
        status = status_of(forwarder.pid)
    assert status["Uid"] == [str(nobody.pw_uid)] * 4
    assert status["Gid"] == [str(nobody.pw_gid)] * 4
    assert status["Groups"] == []
    for kind in ("CapInh", "CapPrm", "CapEff", "CapAmb"):
        assert int(status[kind][0], 16) == 0, kind
    # The file was opened and the socket bound by root.
    assert '"name":"a.b"' in file.read_text()
    assert tracing.counters().sent == 1
    assert tracing.counters().pending == 0


def test_the_rights_of_root_are_gone(tmp_path: Path) -> None:
    require_root()
    script = f"""
import os, socket, sys
from kata_host.forwarder.privileges import drop_privileges
drop_privileges("nobody")
def become_root(): os.setuid(0)
def become_roots_group(): os.setgid(0)
def write(): open({str(tmp_path / "x")!r}, "w")
def read(): open("/etc/shadow")
def listen(): socket.socket().bind(("127.0.0.1", 1))
def kill(): os.kill(1, 0)
for attempt in (become_root, become_roots_group, write, read, listen, kill):
    try:
        attempt()
    except PermissionError:
        continue
    sys.exit(attempt.__name__)
"""
    subprocess.run([sys.executable, "-c", script], check=True)
