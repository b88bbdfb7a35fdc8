# SPDX-License-Identifier: Apache-2.0
"""`kata-agent-ctl run`: streams, exit status, root file systems and failures."""

from __future__ import annotations

import hashlib
import os
import signal
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from kata_host.ctl.rootfs import make_busybox
from tests.e2e.conftest import Completed, Ctl
from tests.helpers.host_program import require_program

Start = Callable[..., "subprocess.Popen[bytes]"]


def assert_one_line(completed: Completed, words: str, status: int = 125) -> None:
    """Check that the program failed and gave the reason in one line."""
    assert completed.returncode == status, completed.stderr
    (line,) = completed.stderr.splitlines()
    assert line.startswith("kata-agent-ctl: ")
    assert words in line
    assert completed.stdout == ""


def test_output_errors_and_status_are_the_commands(ctl: Ctl) -> None:
    ran = ctl("run", "--local", "--", "sh", "-c", "echo out; echo err >&2; exit 7")
    assert (ran.stdout, ran.stderr, ran.returncode) == ("out\n", "err\n", 7)


def test_a_killed_command_is_128_and_its_signal(ctl: Ctl) -> None:
    ran = ctl("run", "--local", "--", "sh", "-c", "kill -9 $$")
    assert (ran.stdout, ran.stderr, ran.returncode) == ("", "", 137)


def test_input_reaches_the_command_to_its_end(ctl: Ctl) -> None:
    ran = ctl("run", "-i", "--local", "--", "cat", input="hi\n")
    assert (ran.stdout, ran.stderr, ran.returncode) == ("hi\n", "", 0)


def test_without_i_the_input_is_empty(ctl: Ctl) -> None:
    ran = ctl("run", "--", "cat", input="not for you")
    assert (ran.stdout, ran.returncode) == ("", 0)


def test_a_command_that_does_not_read_its_input_ends(ctl: Ctl) -> None:
    ran = ctl("run", "-i", "--", "true", input="x" * (4 << 20))
    assert (ran.stdout, ran.stderr, ran.returncode) == ("", "", 0)


def test_a_file_as_input_is_passed_on(ctl: Ctl, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("from a file\n")
    with (tmp_path / "file").open() as file:
        ran = ctl("run", "-i", "--", "cat", stdin=file)
    assert (ran.stdout, ran.returncode) == ("from a file\n", 0)


def test_much_data_passes_unchanged_in_both_directions(
    started: Start, tmp_path: Path
) -> None:
    data = os.urandom(1 << 20) * 16
    (tmp_path / "in").write_bytes(data)
    with (tmp_path / "in").open("rb") as source:
        process = started(
            "run", "-i", "--", "cat", stdin=source, stdout=subprocess.PIPE
        )
        assert process.stdout is not None
        copied = process.stdout.read()
    assert process.wait() == 0
    assert hashlib.sha256(copied).digest() == hashlib.sha256(data).digest()


def test_a_terminal_has_a_name(ctl: Ctl) -> None:
    ran = ctl("run", "-t", "--local", "--", "tty")
    assert ran.stdout.startswith("/dev/pts/")
    assert ran.returncode == 0


def test_variables_and_the_directory_are_set(ctl: Ctl) -> None:
    ran = ctl(
        *("run", "--env", "A=b c", "--env", "TMPDIR", "--env", "NOT_SET_HERE"),
        *("--cwd", "/tmp", "--", "sh", "-c", 'echo "$A|$PWD|${NOT_SET_HERE-unset}"'),
    )
    assert (ran.stdout, ran.returncode) == ("b c|/tmp|unset\n", 0)


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_a_command_runs_with_either_cgroup_version(ctl: Ctl, version: str) -> None:
    ran = ctl("run", "--cgroup", version, "--", "echo", version)
    assert (ran.stdout, ran.stderr, ran.returncode) == (f"{version}\n", "", 0)


def test_the_container_has_few_rights(ctl: Ctl) -> None:
    script = (
        "cat /proc/self/status | grep CapBnd; "
        "(echo 1 > /proc/sys/vm/drop_caches) 2>/dev/null || echo read-only; "
        "mknod /disk b 254 0 && head -c 1 /disk 2>/dev/null || echo no disk; "
        "ls -A /run /tmp"
    )
    ran = ctl("run", "--", "sh", "-c", script)
    assert ran.stdout.splitlines()[:3] == [
        "CapBnd:\t00000000a80425fb",
        "read-only",
        "no disk",
    ]


def test_a_directory_as_root_is_not_written_to(ctl: Ctl, tmp_path: Path) -> None:
    root = make_busybox(tmp_path / "root")
    (root / "mine").write_text("untouched\n")
    script = "cat /mine; echo changed > /mine; cat /mine"
    ran = ctl("run", "--rootfs", str(root), "--", "sh", "-c", script)
    assert (ran.stdout, ran.stderr) == ("untouched\nchanged\n", "")
    assert (root / "mine").read_text() == "untouched\n"


def test_an_archive_as_root_is_unpacked(ctl: Ctl, tmp_path: Path) -> None:
    root = make_busybox(tmp_path / "root")
    (root / "mine").write_text("from the archive\n")
    archive = tmp_path / "root.tar.gz"
    subprocess.run(["tar", "-C", root, "-czf", archive, "."], check=True)
    ran = ctl("run", "--rootfs", str(archive), "--", "cat", "/mine")
    assert (ran.stdout, ran.returncode) == ("from the archive\n", 0)


def test_options_of_the_command_are_the_commands(ctl: Ctl) -> None:
    ran = ctl("run", "--", "echo", "--address", "-i", "--", "x")
    assert ran.stdout == "--address -i -- x\n"


# --- failures ---


@pytest.mark.parametrize(
    ("program", "status", "words"),
    [
        ("/no/such/program", 127, "the file /no/such/program was not found"),
        ("nosuch", 127, "the file nosuch was not found"),
        ("/etc/passwd", 126, "Permission denied"),
        ("/etc", 126, "open executable"),
    ],
)
def test_a_program_that_cannot_be_run_is_named_with_dockers_status(
    ctl: Ctl, program: str, status: int, words: str
) -> None:
    assert_one_line(ctl("run", "--", program), words, status)


def test_a_missing_rootfs_is_named(ctl: Ctl) -> None:
    ran = ctl("run", "--rootfs", "/no/such/root", "--", "true")
    assert_one_line(ran, "rootfs '/no/such/root'")


def test_a_file_that_is_no_archive_is_named(ctl: Ctl, tmp_path: Path) -> None:
    (tmp_path / "root.tar").write_text("no archive" * 1000)
    ran = ctl("run", "--rootfs", str(tmp_path / "root.tar"), "--", "true")
    assert_one_line(ran, "root.tar")


def test_a_missing_directory_to_start_in_is_named(ctl: Ctl) -> None:
    assert_one_line(ctl("run", "--cwd", "relative", "--", "true"), "relative")


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("nonsense", "nonsense"),
        ("tcp://127.0.0.1:1", "tcp://127.0.0.1:1"),
        ("unix:///no/such/socket", "unix:///no/such/socket"),
        ("hvsock:///no/such/socket:1024", "hvsock:///no/such/socket:1024"),
    ],
)
def test_a_bad_address_is_named(ctl: Ctl, address: str, words: str) -> None:
    arguments = ("run", "--guest", address, "--connect-timeout", "0.1", "--", "true")
    assert_one_line(ctl(*arguments), words)


def test_a_socket_that_is_no_agent_is_an_error(started: Start, scratch: Path) -> None:
    path = scratch / "s"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        process = started(
            *("run", "--guest", f"unix://{path}", "--", "true"),
            stderr=subprocess.PIPE,
        )
        listener.accept()[0].close()
        assert process.stderr is not None
        error = process.stderr.read().decode()
        assert process.wait() == 125
    path.unlink()
    assert error.startswith("kata-agent-ctl: ")
    assert len(error.splitlines()) == 1


@pytest.mark.parametrize(
    "arguments",
    [("run",), ("run", "--vm", "--local", "--", "true"), ("run", "--no-such", "true")],
)
def test_wrong_usage_is_not_the_commands_failure(
    ctl: Ctl, arguments: tuple[str, ...]
) -> None:
    assert ctl(*arguments).returncode == 125


def test_a_variable_without_a_name_is_refused(ctl: Ctl) -> None:
    assert_one_line(ctl("run", "--env", "=x", "--", "true"), "'=x'")


def children(pid: int) -> list[int]:
    return [
        int(child)
        for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    ]


def test_an_agent_that_dies_during_the_command_is_one_line(
    started: Start, scratch: Path
) -> None:
    process = started(
        *("run", "--", "sh", "-c", "echo running; sleep 1000"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    assert process.stdout.readline() == b"running\n"
    (supervisor,) = children(process.pid)
    (agent,) = children(supervisor)
    os.kill(agent, signal.SIGKILL)
    error = process.stderr.read().decode()
    assert process.wait() == 125
    (line,) = error.splitlines()
    assert line.startswith("kata-agent-ctl: guest ended: SIGKILL")


def test_a_killed_program_leaves_nothing(started: Start, scratch: Path) -> None:
    process = started(
        *("run", "--", "sh", "-c", "echo running; sleep 1000"), stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"running\n"
    (supervisor,) = children(process.pid)
    pidfd = os.pidfd_open(supervisor)
    process.kill()
    process.wait()
    wait_for_end(pidfd)


def wait_for_end(pidfd: int) -> None:
    import select

    assert select.select([pidfd], [], [], 20)[0], "process still runs"
    os.close(pidfd)


def test_output_without_a_reader_ends_the_command(started: Start) -> None:
    process = started("run", "--", "yes", stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"y\n"
    process.stdout.close()
    assert process.wait(timeout=30) == 128 + signal.SIGPIPE


# --- an init ---


@pytest.fixture
def tini() -> Path:
    """The program of `--init`, on a host that has it."""
    return require_program("tini-static", "tini")


def test_an_init_is_the_first_process_and_reaps(ctl: Ctl, tini: Path) -> None:
    # The orphan of a subshell: without an init, it stays a zombie of PID 1.
    script = (
        "(sleep 0.1 & echo $! > /tmp/orphan); read orphan < /tmp/orphan; "
        "while [ -e /proc/$orphan ]; do :; done; cat /proc/1/comm; exit 7"
    )
    ran = ctl("run", "--init", "--", "sh", "-c", script)
    assert (ran.stdout, ran.stderr, ran.returncode) == ("init\n", "", 7)


def test_an_init_passes_signals_on(started: Start, tini: Path) -> None:
    # As PID 1, a command that has no handler would ignore the signal.
    process = started(
        *("run", "--init", "--", "sh", "-c", "echo ready; exec sleep 1000"),
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 128 + signal.SIGTERM


def test_an_init_is_there_for_any_user_on_a_read_only_root(
    ctl: Ctl, tini: Path
) -> None:
    ran = ctl("run", "--init", "--read-only", "-u", "65534:65534", "--", "id", "-u")
    assert (ran.stdout, ran.stderr, ran.returncode) == ("65534\n", "", 0)


def test_a_command_behind_an_init_may_not_be_there(ctl: Ctl, tini: Path) -> None:
    ran = ctl("run", "--init", "--", "/no/such")
    assert ran.returncode == 127
    assert "/no/such" in ran.stderr


def test_an_init_in_a_guest_that_stays(ctl: Ctl, tini: Path) -> None:
    assert ctl("guest", "start", "--name", "init").returncode == 0
    try:
        # Its containers share their pids, so the init is not PID 1.
        script = "cat /proc/$PPID/comm; exit 7"
        ran = ctl("run", "--guest", "init", "--init", "--", "sh", "-c", script)
        assert (ran.stdout, ran.stderr, ran.returncode) == ("init\n", "", 7)
        ran = ctl("run", "--guest", "init", "--pid", "container", "--", "true")
        assert_one_line(ran, "--pid container: the containers of a guest that stays")
    finally:
        assert ctl("guest", "stop", "init").returncode == 0
