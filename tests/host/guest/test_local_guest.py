# SPDX-License-Identifier: Apache-2.0
"""A local guest with a small server in place of the agent."""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kata_host.child import PACKAGES
from kata_host.guest.guest import GuestError, OwnGuest
from kata_host.guest.local_cgroup import hierarchies
from kata_host.guest.local_guest import LocalGuest
from tests.helpers.namespace import require_root

pytestmark = pytest.mark.root

INIT = """
import os, socket, sys
base = os.environ["KATA_AGENT_LOCAL_SOCKET"]
listener = socket.socket(socket.AF_UNIX)
listener.bind(base + ".d/1024")
print("serving", flush=True)
listener.listen()
while True:
    connection, _ = listener.accept()
    stream = connection.makefile("rw")
    for line in stream:
        try:
            print(repr(eval(line)), file=stream, flush=True)
        except Exception as error:
            print(repr(f"{type(error).__name__}: {error}"), file=stream, flush=True)
"""
"""Answers each line, a Python expression, with the `repr` of its value."""
HOLD = """
import os, subprocess
version, depth = {version!r}, 30
top = "/sys/fs/cgroup" + "/freezer" * (version == "v1")
directory = os.open(top, os.O_RDONLY)
for _ in range(depth):
    # Deeper than a path may be long.
    os.mkdir("n" * 200, dir_fd=directory)
    directory = os.open("n" * 200, os.O_RDONLY, dir_fd=directory)
sleeper = subprocess.Popen(["sleep", "1000"], start_new_session=True)
file, word = ("freezer.state", "FROZEN") if version == "v1" else ("cgroup.freeze", "1")
for name, text in (("cgroup.procs", str(sleeper.pid)), (file, word)):
    os.write(os.open(name, os.O_WRONLY, dir_fd=directory), text.encode())
"""
"""Freezes a process in a cgroup far below that of the guest."""
NAMESPACES = ("mnt", "pid", "net", "uts", "ipc", "cgroup")


class Inside:
    """Evaluates expressions in PID 1 of a guest."""

    def __init__(self, guest: OwnGuest) -> None:
        self._connection = dial(guest)
        self._stream = self._connection.makefile("rw")

    def __call__(self, expression: str) -> Any:
        print(expression, file=self._stream, flush=True)
        return eval(self._stream.readline())

    def close(self) -> None:
        self._stream.close()
        self._connection.close()


def dial(guest: OwnGuest) -> socket.socket:
    """Connect to the agent's port; try again until the agent listens."""
    while True:
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(20)
        connection.connect(str(guest.socket))
        connection.sendall(b"CONNECT 1024\n")
        answer = connection.recv(32)
        if answer:
            assert answer.startswith(b"OK ")
            return connection
        connection.close()
        assert guest.ending() is None, guest.console_tail()


def new_guest(**options: Any) -> LocalGuest:
    options.setdefault("command", [sys.executable, "-c", INIT])
    return LocalGuest(**options)


@pytest.fixture(autouse=True)
def _root() -> None:
    require_root()


@pytest.fixture
def guest() -> Iterator[LocalGuest]:
    with new_guest() as guest:
        yield guest


@pytest.fixture
def inside(guest: LocalGuest) -> Iterator[Inside]:
    inside = Inside(guest)
    yield inside
    inside.close()


def children() -> list[str]:
    path = Path(f"/proc/self/task/{os.getpid()}/children")
    return path.read_text().split()


def cgroups(supervisor: int) -> set[Path]:
    """The cgroups of one guest, because other tests may have guests as well."""
    found = set()
    for parent, names, _ in os.walk("/sys/fs/cgroup"):
        guests = {name for name in names if name.startswith("kata-local-")}
        own = {name for name in guests if name.split("-")[2] == str(supervisor)}
        found |= {Path(parent, name) for name in own}
        # Not into them, because they may nest deeper than a path may be long.
        names[:] = set(names) - guests
    return found


def mounts() -> list[str]:
    return Path("/proc/self/mountinfo").read_text().splitlines()


def agent_pid(guest: LocalGuest) -> int:
    """The pid of the guest's PID 1 on the host."""
    children = f"/proc/{guest.pid}/task/{guest.pid}/children"
    return int(Path(children).read_text())


def wait_for_end(pidfd: int) -> None:
    assert select.select([pidfd], [], [], 20)[0], "the process goes on"
    os.close(pidfd)


def test_the_agent_is_pid_1_of_new_namespaces(inside: Inside) -> None:
    assert inside("os.getpid()") == 1
    for name in NAMESPACES:
        link = f"/proc/self/ns/{name}"
        assert inside(f"os.readlink({link!r})") != os.readlink(link)


def test_the_loopback_is_up(inside: Inside) -> None:
    assert inside("[name for _, name in socket.if_nameindex()]") == ["lo"]
    server = "socket.create_server(('127.0.0.1', 7))"
    assert inside(f"{server}.getsockname()") == ("127.0.0.1", 7)


def test_run_is_private_and_the_guests_directory_is_not(
    guest: LocalGuest, inside: Inside
) -> None:
    assert inside("os.listdir('/run')") == []
    assert inside(f"os.path.exists({str(guest.socket)!r})")


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_exactly_one_cgroup_version_is_mounted(version: str) -> None:
    with new_guest(cgroup=version) as guest:
        inside = Inside(guest)
        listed = inside("open('/proc/self/mountinfo').read()")
        types = {
            line.partition(" - ")[2].split()[0]
            for line in listed.splitlines()
            if "cgroup" in line.partition(" - ")[2].split()[0]
        }
        assert types == {"cgroup" if version == "v1" else "cgroup2"}
        # The guest makes cgroups of its own, and sees none above its own.
        parent = "/sys/fs/cgroup" + ("/pids" if version == "v1" else "")
        assert inside(f"os.mkdir({parent + '/a'!r})") is None
        assert inside(f"os.path.exists({parent + '/a/cgroup.procs'!r})")
        assert inside("[l for l in open('/proc/self/cgroup') if '..' in l]") == []
        inside.close()
        pid = guest.pid
        assert cgroups(pid)
    assert not cgroups(pid)


@pytest.mark.parametrize(
    "expression",
    [
        "__import__('time').clock_settime(0, 0)",
        "open('/sys/kernel/uevent_seqnum', 'w')",
        "open('/sys/kernel/mm/ksm/run', 'w').write('0')",
    ],
)
def test_the_host_is_out_of_reach(inside: Inside, expression: str) -> None:
    answer = inside(expression)
    assert answer.startswith(("PermissionError", "OSError: [Errno 30]"))


def test_the_guest_reaches_ports_of_the_host(guest: LocalGuest, inside: Inside) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"{guest.socket}_10240")
        listener.listen()
        base = "os.environ['KATA_AGENT_LOCAL_SOCKET']"
        connect = f"s.connect({base} + '_10240')"
        inside(f"[s := socket.socket(socket.AF_UNIX), {connect}, s.send(b'hello')][2]")
        connection, _ = listener.accept()
        with connection:
            assert connection.recv(10) == b"hello"


def test_a_port_without_a_listener_is_closed(guest: LocalGuest, inside: Inside) -> None:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(20)
        connection.connect(str(guest.socket))
        connection.sendall(b"CONNECT 1025\n")
        assert connection.recv(32) == b""
    assert inside("1 + 1") == 2


def test_a_directory_below_run_can_be_shared() -> None:
    directory = Path(f"/run/kata-local-test-{os.getpid()}")
    directory.mkdir()
    try:
        (directory / "file").write_text("shared")
        with new_guest(shared=[directory]) as guest:
            inside = Inside(guest)
            assert inside(f"open({str(directory / 'file')!r}).read()") == "shared"
            inside.close()
    finally:
        (directory / "file").unlink()
        directory.rmdir()


def test_nothing_is_left_after_a_stop() -> None:
    mounts_before, before = mounts(), children()
    with new_guest() as guest:
        inside = Inside(guest)
        inside("os.mkdir('/sys/fs/cgroup/pids/a')")
        inside("__import__('subprocess').Popen(['sleep', '1000']).pid")
        inside("os.mkdir('/run/a')")
        inside.close()
        pid = guest.pid
        supervisor = os.pidfd_open(pid)
        agent = os.pidfd_open(agent_pid(guest))
    wait_for_end(agent)
    wait_for_end(supervisor)
    assert mounts() == mounts_before
    assert not cgroups(pid)
    assert not guest.directory.exists()
    assert children() == before


def hold_process(guest: LocalGuest, version: str) -> int:
    """Freeze a process in the guest; return its pidfd."""
    inside = Inside(guest)
    inside(f"exec({HOLD.format(version=version)!r})")
    inside.close()
    pid = agent_pid(guest)
    (held,) = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return os.pidfd_open(int(held))


@pytest.fixture(params=["v1", "v2"])
def version(request: pytest.FixtureRequest) -> str:
    try:
        hierarchies(request.param)
    except ValueError as error:
        pytest.skip(str(error))
    return str(request.param)


def test_a_stop_ends_frozen_processes_at_once(version: str) -> None:
    with new_guest(cgroup=version) as guest:
        pid = guest.pid
        held = hold_process(guest, version)
        began = time.monotonic()
    # Twenty times what it takes; a supervisor that does not end is killed after 20 s.
    assert time.monotonic() - began < 10
    wait_for_end(held)
    assert not cgroups(pid)
    assert not guest.directory.exists()


def test_frozen_processes_end_after_a_killed_supervisor(version: str) -> None:
    with new_guest(cgroup=version) as guest:
        pid = guest.pid
        held = hold_process(guest, version)
        os.kill(pid, signal.SIGKILL)
        assert guest.ending(timeout=20) == "supervisor was killed"
    wait_for_end(held)
    assert not cgroups(pid)
    assert not guest.directory.exists()


def test_the_next_guest_ends_what_a_killed_one_has_left(version: str) -> None:
    guest = new_guest(cgroup=version)
    guest.start()
    pid = guest.pid
    held = hold_process(guest, version)
    # The host process too: there is no one to clean up.
    supervisor = os.pidfd_open(pid)
    os.kill(pid, signal.SIGKILL)
    wait_for_end(supervisor)
    assert cgroups(pid)
    # Of either version, whichever the next guest has.
    with new_guest(cgroup="auto"):
        wait_for_end(held)
        assert not cgroups(pid)
    guest.stop()


def test_the_console_has_the_output_of_the_agent(guest: LocalGuest) -> None:
    dial(guest).close()
    assert list(guest.console_tail()) == ["serving"]


def test_a_guest_that_ends_by_itself_says_how() -> None:
    script = "print('the last words'); raise SystemExit(3)"
    with new_guest(command=[sys.executable, "-c", script]) as guest:
        assert guest.ending(timeout=20) == "exit status 3"
        assert guest.ending() == "exit status 3"
        assert list(guest.console_tail()) == ["the last words"]


def test_a_guest_that_runs_has_no_ending(guest: LocalGuest) -> None:
    assert guest.ending() is None


def test_a_missing_agent_is_an_error_that_names_it() -> None:
    before = children()
    guest = new_guest(command=["/no/such/agent"])
    with pytest.raises(GuestError, match="No such file or directory"):
        guest.start()
    assert not guest.directory.exists()
    assert children() == before


@pytest.mark.parametrize(
    ("parameters", "program"), [((), "crun"), (("agent.runtime=runc",), "runc")]
)
def test_a_host_without_the_runtime_is_told_its_package(
    parameters: tuple[str, ...], program: str, tmp_path: Path
) -> None:
    environment = {"PATH": str(tmp_path)}
    guest = LocalGuest(environment=environment, parameters=parameters)
    with pytest.raises(
        GuestError, match=rf": {program}: not found \(package {program}"
    ):
        guest.start()
    assert not guest.directory.exists()


def test_an_unknown_cgroup_version_is_an_error() -> None:
    guest = new_guest(cgroup="v7")
    with pytest.raises(GuestError, match="unknown cgroup version 'v7'"):
        guest.start()
    guest.stop()
    assert not guest.directory.exists()


def test_a_path_too_long_for_sockets_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(GuestError, match="too long"):
        new_guest(directory=tmp_path / ("x" * 100)).start()


def test_a_long_temporary_directory_is_not_used(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    short = Path(f"/tmp/short-{os.getpid()}")
    short.mkdir()
    monkeypatch.setenv("TMPDIR", str(short))
    assert new_guest().directory.parent == short
    long = short / ("x" * 100)
    long.mkdir()
    monkeypatch.setenv("TMPDIR", str(long))
    assert new_guest().directory.parent == Path("/tmp")
    long.rmdir()
    short.rmdir()


def test_a_local_guest_needs_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(GuestError, match="root is needed"):
        new_guest().start()


def test_a_guest_that_is_given_up_ends(guest: LocalGuest) -> None:
    guest.give_up()
    assert guest.ending(timeout=20)


def test_a_guest_is_started_once(guest: LocalGuest) -> None:
    with pytest.raises(GuestError, match="already started"):
        guest.start()


def test_a_killed_host_process_takes_the_guest_with_it() -> None:
    script = f"""
import json, sys
sys.path.insert(0, {str(PACKAGES)!r})
from kata_host.guest.local_guest import LocalGuest
guest = LocalGuest(command=[sys.executable, "-c", {INIT!r}])
guest.start()
print(json.dumps([guest.pid, str(guest.directory)]), flush=True)
sys.stdin.read()
"""
    with subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as host:
        assert host.stdout is not None
        pid, directory = json.loads(host.stdout.readline())
        supervisor = os.pidfd_open(pid)
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text()
        agent = os.pidfd_open(int(children))
        host.kill()
    wait_for_end(agent)
    wait_for_end(supervisor)
    assert not os.path.exists(directory)
    assert not cgroups(pid)


def test_a_killed_supervisor_takes_the_guest_with_it() -> None:
    with new_guest() as guest:
        dial(guest).close()
        pid = guest.pid
        agent = os.pidfd_open(agent_pid(guest))
        os.kill(pid, signal.SIGKILL)
        wait_for_end(agent)
        assert guest.ending(timeout=20) == "supervisor was killed"
    assert not guest.directory.exists()
    assert not cgroups(pid)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_to_the_supervisor_ends_the_guest(number: signal.Signals) -> None:
    with new_guest() as guest:
        pid = guest.pid
        dial(guest).close()
        os.kill(pid, number)
        assert guest.ending(timeout=20) == "SIGKILL"
    assert not guest.directory.exists()
    assert not cgroups(pid)
