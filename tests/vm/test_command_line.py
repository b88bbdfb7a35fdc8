# SPDX-License-Identifier: Apache-2.0
"""`kata-agent-ctl` with a VM that stays: shells, programs on ports, an init."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from kata_host.guest.image.store import Image, cache
from kata_host.guest.vm_accelerator import choose_accelerator
from tests.helpers.command_line import CTL, PATIENCE, run, running
from tests.helpers.host_program import require_program
from tests.helpers.pseudo_terminal import PseudoTerminal
from tests.helpers.vm import linked_image

pytestmark = [pytest.mark.vm, pytest.mark.slow]

SERVER = """
import os, socket, threading
def serve(listener):
    while True:
        client, _ = listener.accept()
        # Ends its own way first, then counts what comes until the other end.
        client.sendall(b"hello" + bytes(1 << 20))
        client.shutdown(socket.SHUT_WR)
        count = 0
        while part := client.recv(65536):
            count += len(part)
        client.close()
        print("got", count, flush=True)
tcp = socket.create_server(("127.0.0.1", 80))
unix = socket.socket(socket.AF_UNIX)
unix.bind("/tmp/a socket")
unix.listen()
print("ready", flush=True)
threading.Thread(target=serve, args=(tcp,)).start()
serve(unix)
"""


@pytest.fixture(scope="module")
def said() -> dict[str, str]:
    """What the start of the guest has said on standard error."""
    return {}


@pytest.fixture(scope="module")
def environment(image: Image, said: dict[str, str]) -> Iterator[dict[str, str]]:
    """The guest `one`, with a container `box` that serves.

    The guest should be restored and cannot be: its image has no place for snapshots.
    """
    scratch = Path(f"/tmp/vm-{os.urandom(4).hex()}")
    own = linked_image(image, scratch / "cache/kata-agent" / image.directory.name)
    (own.directory / "snapshots").touch()
    (scratch / "run").mkdir()
    environment = {
        **os.environ,
        "KATA_GUEST_ACCELERATOR": choose_accelerator(image.kernel, cache()),
        "TMPDIR": str(scratch),
        "XDG_CACHE_HOME": str(scratch / "cache"),
        "XDG_RUNTIME_DIR": str(scratch / "run"),
    }
    serve = ("--name", "box", "--guest", "one", "--", "python3", "-c", SERVER)
    try:
        started = run(environment, "guest", "start", "--vm", "--warm", "--name", "one")
        assert started.returncode == 0, started.stderr
        said["start"] = started.stderr
        ran = run(environment, "run", "-d", *serve)
        assert ran.returncode == 0, ran.stderr
        yield environment
    finally:
        stopped = run(environment, "guest", "stop", "--all")
        left = list((scratch / "run/kata-agent").iterdir())
        shutil.rmtree(scratch)
    assert (stopped.returncode, left) == (0, [])


def port_in(line: str) -> int:
    found = re.match(r"127\.0\.0\.1:([0-9]+) -> ", line)
    assert found, line
    return int(found[1])


@pytest.mark.usefixtures("environment")
def test_why_a_guest_boots_is_said(said: dict[str, str]) -> None:
    assert re.fullmatch(
        r"kata-agent-ctl: vm \S+/one: boots, not restored: \S+: Not a directory\n",
        said["start"],
    )


def test_a_shell_returns_its_status_and_follows_the_size(
    environment: dict[str, str],
) -> None:
    ran = run(environment, "shell", "one", input="uname -n; exit 7\n")
    assert (ran.returncode, ran.stderr) == (7, "")
    terminal = PseudoTerminal()
    terminal.resize(30, 100)
    fd = terminal.program
    process = subprocess.Popen(
        [*CTL, "shell", "one"],
        env=environment,
        stdin=fd,
        stdout=fd,
        stderr=fd,
        process_group=0,
    )
    try:
        terminal.type(b"stty size\n")
        terminal.expect(b"30 100")
        # busybox runs no trap while it waits for a line.
        changed = b'while [ "$(stty size)" != "41 119" ]; do sleep 0.1; done; exit 4\n'
        terminal.type(changed)
        terminal.resize(41, 119)
        process.send_signal(signal.SIGWINCH)
        assert process.wait(PATIENCE) == 4
    finally:
        process.kill()
        process.wait()
        terminal.close()


@pytest.mark.parametrize("target", ["80", "/tmp/a socket"])
def test_each_end_of_a_connection_is_passed_on_by_itself(
    environment: dict[str, str], target: str
) -> None:
    # Another number for each, because the log is one.
    sent = bytes(300_000 + len(target))
    with running(environment, "forward", "box", f"0:{target}") as forwarding:
        assert forwarding.stdout is not None
        port = port_in(forwarding.stdout.readline())
        with socket.create_connection(("127.0.0.1", port), PATIENCE) as client:
            received = b"".join(iter(lambda: client.recv(65536), b""))
            assert received == b"hello" + bytes(1 << 20)
            # The other way is open, after the program's end has come.
            client.sendall(sent)
            client.shutdown(socket.SHUT_WR)
            with running(environment, "logs", "-f", "box") as logs:
                assert logs.stdout is not None
                lines = iter(logs.stdout.readline, "")
                assert f"got {len(sent)}\n" in lines
            assert client.recv(1) == b""
        forwarding.send_signal(signal.SIGINT)
        assert forwarding.wait(PATIENCE) == 0


def test_an_init_is_copied_into_the_guest(environment: dict[str, str]) -> None:
    require_program("tini-static", "tini")
    # Its containers share their pids, so the init is not PID 1.
    script = "cat /proc/$PPID/comm; exit 7"
    ran = run(environment, "run", "--guest", "one", "--init", "--", "sh", "-c", script)
    assert (ran.stdout, ran.stderr, ran.returncode) == ("init\n", "", 7)


def test_a_program_in_a_vm_without_a_network_is_on_a_port_and_has_an_init(
    environment: dict[str, str],
) -> None:
    require_program("tini-static", "tini")
    serve = (
        "import socket; s = socket.create_server(('127.0.0.1', 80)); print('ready', "
        "flush=True); c = s.accept()[0]; c.sendall(c.recv(9)[::-1]); s.accept()"
    )
    script = f'cat /proc/1/comm; ls /sys/class/net; exec python3 -c "{serve}"'
    words = ("run", "--vm", "--network", "none", "-p", "0:80", "--init")
    with running(environment, *words, "--", "sh", "-c", script) as ran:
        assert ran.stdout is not None
        assert ran.stderr is not None
        lines = iter(ran.stderr.readline, "")
        port = port_in(next(line for line in lines if " -> " in line))
        said = [ran.stdout.readline() for _ in range(3)]
        assert said == ["init\n", "lo\n", "ready\n"]
        with socket.create_connection(("127.0.0.1", port), PATIENCE) as client:
            client.sendall(b"abc")
            assert client.recv(9) == b"cba"
        ran.terminate()
        assert ran.wait(PATIENCE) == 128 + signal.SIGTERM
