# SPDX-License-Identifier: Apache-2.0
"""`kata-agent-ctl guest`, `shell` and `logs`, with guests that outlive a command."""

from __future__ import annotations

import asyncio
import json
import os
import re
import select
import shlex
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from kata_host.client import AgentClient
from kata_host.client.spec import default_process, default_spec
from kata_host.ctl.program import EPILOG
from kata_host.ctl.rootfs import make_busybox
from kata_protos import agent_pb2
from tests.e2e.conftest import Completed, Ctl
from tests.helpers.command_line import CTL
from tests.helpers.pseudo_terminal import PseudoTerminal
from tests.helpers.vm import require_image

CGROUPS = Path("/sys/fs/cgroup")
Started = Callable[..., "subprocess.Popen[bytes]"]


@pytest.fixture
def environment(scratch: Path) -> Iterator[dict[str, str]]:
    runtime = scratch / "run"
    runtime.mkdir()
    environment = {
        **os.environ,
        "TMPDIR": str(scratch),
        "XDG_RUNTIME_DIR": str(runtime),
    }
    yield environment
    stopped = subprocess.run([*CTL, "guest", "stop", "--all"], env=environment)
    assert stopped.returncode == 0
    (runtime / "kata-agent").rmdir()
    runtime.rmdir()


def start(ctl: Ctl, *arguments: str, **options: Any) -> str:
    """Start a guest; return its address."""
    ran = ctl("guest", "start", "--name", "a", *arguments, **options)
    assert (ran.stderr, ran.returncode) == ("", 0)
    name, address = ran.stdout.split()
    assert name == "a"
    return address


def listed(ctl: Ctl) -> list[dict[str, Any]]:
    ran = ctl("guest", "list", "--json")
    assert (ran.stderr, ran.returncode) == ("", 0)
    return [json.loads(line) for line in ran.stdout.splitlines()]


def failure(ran: Completed, status: int = 1) -> str:
    """Return the one line that a failed command prints."""
    assert ran.stdout == ""
    assert ran.returncode == status
    (line,) = ran.stderr.splitlines()
    return line.removeprefix("kata-agent-ctl: ")


def wait_for_end(pid: int) -> None:
    try:
        pidfd = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    assert select.select([pidfd], [], [], 30)[0]
    os.close(pidfd)


def test_a_guest_stays_until_it_is_stopped(ctl: Ctl) -> None:
    address = start(ctl)
    (guest,) = listed(ctl)
    assert (guest["name"], guest["kind"], guest["state"]) == ("a", "local", "running")
    assert guest["address"] == address
    assert json.loads(ctl("call", "--guest", address, "check").stdout) == {
        "status": "SERVING"
    }
    table = ctl("guest", "list").stdout.splitlines()
    assert table[0].split() == ["NAME", "KIND", "STATE", "ADDRESS"]
    assert table[1].split() == ["a", "local", "running", address]
    assert ctl("guest", "stop", "a").returncode == 0
    assert listed(ctl) == []
    wait_for_end(guest["pid"])


def test_a_new_name_is_chosen_and_used_once(ctl: Ctl) -> None:
    name, _ = ctl("guest", "start").stdout.split()
    assert re.fullmatch("guest-[0-9a-f]{6}", name)
    assert failure(ctl("guest", "start", "--name", name)) == (
        f"guest '{name}': already exists"
        f" (kata-agent-ctl guest stop {name}, or another --name)"
    )
    assert len(listed(ctl)) == 1


@pytest.mark.parametrize("name", ["", "A", "../a", "a/b", "x" * 33])
def test_a_bad_name(ctl: Ctl, name: str) -> None:
    assert failure(ctl("guest", "start", "--name", name)).startswith(f"guest {name!r}:")


@pytest.mark.parametrize("verb", ["stop", "shell", "logs"])
def test_a_missing_guest_is_named(ctl: Ctl, verb: str) -> None:
    words = ("guest", "stop") if verb == "stop" else (verb,)
    assert failure(ctl(*words, "missing")) == "guest 'missing': not found"


def test_a_kernel_option_of_two_words_is_refused(ctl: Ctl) -> None:
    ran = ctl("guest", "start", "-o", "a b")
    assert failure(ran, status=2) == "option 'a b': not one word"


def test_stop_and_start_clean_up_after_a_killed_holder(ctl: Ctl) -> None:
    start(ctl)
    (guest,) = listed(ctl)
    os.kill(guest["pid"], signal.SIGKILL)
    wait_for_end(guest["pid"])
    (guest,) = listed(ctl)
    assert (guest["state"], guest["address"]) == ("lost", None)
    assert failure(ctl("shell", "a")) == "guest 'a': not running: lost"
    start(ctl)
    (guest,) = listed(ctl)
    assert guest["state"] == "running"
    os.kill(guest["pid"], signal.SIGKILL)
    wait_for_end(guest["pid"])
    assert ctl("guest", "stop", "a").returncode == 0
    assert listed(ctl) == []


@pytest.mark.parametrize("is_killed", [False, True])
def test_stop_ends_a_guest_with_a_paused_container(
    ctl: Ctl, tmp_path: Path, is_killed: bool
) -> None:
    asyncio.run(start_and_pause(start(ctl), make_busybox(tmp_path / "rootfs")))
    (guest,) = listed(ctl)
    (supervisor,) = children_of(guest["pid"])
    name = f"kata-local-{supervisor}-*"
    assert list(CGROUPS.glob(f"*/{name}"))
    if is_killed:
        os.kill(guest["pid"], signal.SIGKILL)
        os.kill(supervisor, signal.SIGKILL)
        wait_for_end(guest["pid"])
        wait_for_end(supervisor)
    began = time.monotonic()
    assert ctl("guest", "stop", "a").returncode == 0
    # A guest that does not end by itself is killed after 20 s.
    assert time.monotonic() - began < 10
    assert not list(CGROUPS.glob(f"*/{name}"))
    assert listed(ctl) == []


async def start_and_pause(address: str, rootfs: Path) -> None:
    async with AgentClient.connect(address) as client:
        await client.create_sandbox("e2e", share_pids=False)
        process = default_process(["sh", "-c", "while :; do :; done"])
        spec = default_spec("c1", process, rootfs=str(rootfs))
        container = await client.create_container("c1", spec, share_pids=False)
        await container.start()
        await client.agent.pause_container(
            agent_pb2.PauseContainerRequest(container_id="c1")
        )


def children_of(pid: int) -> list[int]:
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return list(map(int, children.split()))


def test_a_guest_that_ended_by_itself_is_listed_until_it_is_stopped(
    ctl: Ctl,
) -> None:
    address = start(ctl)
    pid = listed(ctl)[0]["pid"]
    assert ctl("call", "--guest", address, "CreateSandbox").returncode == 0
    assert ctl("call", "--guest", address, "DestroySandbox").returncode == 0
    wait_for_end(pid)
    (guest,) = listed(ctl)
    assert (guest["state"], guest["ending"]) == ("ended", "exit status 0")
    words = "guest 'a': not running: exit status 0"
    assert failure(ctl("logs", "a")) == words
    start(ctl)


def test_what_is_left_of_a_record_is_a_guest_that_is_lost(
    ctl: Ctl, environment: dict[str, str]
) -> None:
    assert listed(ctl) == []
    directory = Path(environment["XDG_RUNTIME_DIR"], "kata-agent")
    (directory / "broken.json").write_text('{"name": "../../etc", ')
    (guest,) = listed(ctl)
    assert (guest["name"], guest["state"]) == ("broken", "lost")


def test_a_runtime_directory_that_others_can_write_is_not_used(
    ctl: Ctl, environment: dict[str, str]
) -> None:
    directory = Path(environment["XDG_RUNTIME_DIR"], "kata-agent")
    directory.mkdir()
    directory.chmod(0o777)
    assert failure(ctl("guest", "list")).endswith("not a directory of this user alone")
    directory.chmod(0o700)


def test_the_example_of_the_help_works(ctl: Ctl) -> None:
    for line in EPILOG.splitlines():
        if line.startswith("  "):
            ran = ctl(*shlex.split(line)[1:])
            assert (ran.stderr, ran.returncode) == ("", 0)
    assert listed(ctl) == []


def test_every_command_takes_the_name_of_a_guest(ctl: Ctl, tmp_path: Path) -> None:
    start(ctl)
    (tmp_path / "file").write_text("x")
    for command in (
        ("call", "--guest", "a", "CreateSandbox", '{"sandbox_id": "s"}'),
        ("cp", "--guest", "a", str(tmp_path / "file")),
        ("run", "--guest", "a", "--", "true"),
        ("trace", "--for", "0", "a"),
        ("shell", "a"),
        ("logs", "a"),
    ):
        ran = ctl(*command)
        assert (ran.stderr, ran.returncode) == ("", 0), command
    for command in (("top", "c1"), ("exec", "c1", "--", "true")):
        ran = ctl(command[0], "--guest", "a", *command[1:])
        assert "container 'c1'" in ran.stderr


# --- shell ---


def test_a_shell_takes_commands_from_a_pipe(ctl: Ctl) -> None:
    start(ctl)
    ran = ctl("shell", "a", input="echo $((6 * 7)); hostname\n")
    assert ran.returncode == 0
    assert "42\nlocal-guest\n" in ran.stdout


@pytest.mark.slow
def test_a_shell_takes_an_unfinished_line_and_the_end_after_it(ctl: Ctl) -> None:
    start(ctl)
    nested = "sh\n" * 6
    for commands in (
        "echo $((6 * 7))",
        # The line arrives while a command runs, which reads the terminal or does not.
        "sleep 1\necho $((6 * 7))",
        "cat",
        "read x; echo $((x + 40))\n2",
        f"{nested}echo $((6 * 7))",
        "",
    ):
        ran = ctl("shell", "a", input=commands, timeout=60)
        assert ran.returncode == 0, commands
        if "6 * 7" in commands or "40" in commands:
            assert re.search(r"(?m)42$", ran.stdout), (commands, ran.stdout)


@pytest.fixture
def terminal() -> Iterator[PseudoTerminal]:
    terminal = PseudoTerminal()
    yield terminal
    terminal.close()


def shell_at(
    terminal: PseudoTerminal, started: Started, guest: str
) -> subprocess.Popen[bytes]:
    fd = terminal.program
    return started("shell", guest, stdin=fd, stdout=fd, stderr=fd, process_group=0)


def test_a_shell_on_a_terminal_has_all_keys(
    ctl: Ctl, started: Started, terminal: PseudoTerminal
) -> None:
    process = shell_at(terminal, started, start(ctl).removesuffix(":1024"))
    terminal.type(b"PS1='next> '; echo cat runs; cat\n")
    terminal.expect(rb"[\r\n]cat runs")
    terminal.type(b"typed\n")
    terminal.expect(rb"(?s)typed\r\n.*typed\r\n")
    terminal.type(b"\x03")
    terminal.expect(rb"(?s)\^C.*next> ")
    terminal.type(b"echo cat was $?\n")
    terminal.expect(b"cat was 130")
    terminal.type(b"exit\n")
    assert process.wait(30) == 0


def test_a_terminal_that_is_hung_up_ends_a_shell_with_an_unfinished_line(
    ctl: Ctl, started: Started
) -> None:
    start(ctl)
    terminal = PseudoTerminal()
    try:
        process = started("shell", "a", stdin=terminal.program, stdout=subprocess.PIPE)
        terminal.type(b"echo $((6 * 7))")
        assert process.stdout is not None
        while b"6 * 7" not in (line := process.stdout.read1()):
            assert line
    finally:
        terminal.close()
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    assert b"42\r\n" in output


def test_the_escape_key_hangs_up(
    ctl: Ctl, started: Started, terminal: PseudoTerminal
) -> None:
    start(ctl)
    process = shell_at(terminal, started, "a")
    terminal.expect(b"Ctrl-] hangs up")
    terminal.type(b"stty raw -echo; exec sleep 1000\n")
    terminal.expect(b"sleep 1000")
    terminal.type(b"\x1d")
    assert process.wait(30) == 0


@pytest.mark.parametrize(
    ("script", "status"), [("exit 0", 0), ("exit 7", 7), ("kill -9 $$", 137)]
)
def test_a_shell_returns_its_status(ctl: Ctl, script: str, status: int) -> None:
    address = start(ctl)
    for guest in ("a", address):
        ran = ctl("shell", guest, input=f"{script}\n")
        assert (ran.returncode, ran.stderr) == (status, "")


def test_a_shell_follows_the_size_of_the_terminal(
    ctl: Ctl, started: Started, terminal: PseudoTerminal
) -> None:
    start(ctl)
    terminal.resize(30, 100)
    process = shell_at(terminal, started, "a")
    terminal.type(b"stty size; trap 'stty size; exit 4' WINCH; echo rea''dy\n")
    assert b"30 100" in terminal.expect(b"ready")
    terminal.resize(41, 119)
    process.send_signal(signal.SIGWINCH)
    # A shell looks for traps when it has read a line.
    terminal.type(b"\n")
    terminal.expect(b"41 119")
    assert process.wait(30) == 4


def test_the_debug_console_is_as_ever(ctl: Ctl, started: Started) -> None:
    """Of a port that is asked for, and of an agent that has nothing better."""
    start(ctl)
    ran = ctl("shell", "--port", "1026", "a", input="stty size; exit 7\n")
    assert (ran.returncode, ran.stderr) == (0, "")
    assert "24 80\n" in ran.stdout
    assert ctl("guest", "start", "--name", "b", "-o", "agent.shell_vport=0").stdout
    ran = ctl("shell", "b", input="stty size; exit 7\n")
    assert (ran.returncode, ran.stderr) == (0, "")
    assert "24 80\n" in ran.stdout


def test_a_shell_whose_guest_ends_was_lost(ctl: Ctl, started: Started) -> None:
    start(ctl)
    process = started("shell", "a", stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.read(1)
    assert ctl("guest", "stop", "a").returncode == 0
    process.communicate(timeout=30)
    assert process.returncode == 1


def test_a_shell_without_a_console(ctl: Ctl, scratch: Path) -> None:
    """The socket answers with a terminal's escape sequence, not as a hybrid vsock."""
    path = scratch / "s"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen(1)
        process = subprocess.Popen(
            [*CTL, "shell", f"hvsock://{path}:1024"],
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        with process:
            connection, _ = listener.accept()
            with connection:
                assert connection.recv(64) == b"CONNECT 1026\n"
                connection.sendall(b"\x1b[2J bad\n")
            assert process.stderr is not None
            (line,) = process.stderr.read().splitlines()
    assert "\x1b" not in line
    assert "hybrid vsock" in line
    path.unlink()


@pytest.mark.parametrize("address", ["unix:///a", "tcp://a", "hvsock://x"])
def test_an_address_without_ports_is_wrong_usage(ctl: Ctl, address: str) -> None:
    assert address in failure(ctl("shell", address), status=2)


# --- logs ---


def test_the_log_is_readable_or_json(ctl: Ctl) -> None:
    start(ctl, "-o", "agent.log=debug")
    lines = ctl("logs", "a").stdout.splitlines()
    pattern = r"\d{4}-\d\d-\d\dT\S+Z (INFO|DEBG|WARN) \w+ .*"
    assert all(re.fullmatch(pattern, line) for line in lines)
    assert any(re.search(r" announce .*agent_ms=\d+", line) for line in lines)
    address = listed(ctl)[0]["address"]
    ctl("call", "--guest", address, "check")
    objects = [
        json.loads(line) for line in ctl("logs", "--json", "a").stdout.splitlines()
    ]
    assert "Check" in {line.get("method") for line in objects}


def test_the_log_is_followed_to_the_guests_end(ctl: Ctl, started: Started) -> None:
    start(ctl)
    following = started("logs", "-f", "a", stdout=subprocess.PIPE)
    assert following.stdout is not None
    while b"announce" not in following.stdout.readline():
        pass
    assert ctl("guest", "stop", "a").returncode == 0
    assert following.wait(30) == 0


# --- in a VM ---


@pytest.mark.vm
@pytest.mark.slow
def test_a_vm_stays_and_is_listed_after_it_powers_off(ctl: Ctl) -> None:
    require_image()
    address = start(ctl, "--vm", "--cpus", "2", "-o", "agent.log=debug", timeout=100)
    ran = ctl("shell", "a", input="nproc; grep -o agent.log=debug /proc/cmdline\n")
    assert "2\nagent.log=debug\n" in ran.stdout
    assert " announce " in ctl("logs", "a").stdout
    pid = listed(ctl)[0]["pid"]
    assert ctl("call", "--guest", address, "CreateSandbox").returncode == 0
    assert ctl("call", "--guest", address, "DestroySandbox").returncode == 0
    wait_for_end(pid)
    assert listed(ctl)[0]["ending"] == "qemu ended with status 0"
