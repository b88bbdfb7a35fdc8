# SPDX-License-Identifier: Apache-2.0
"""Containers by name, from the command line, in a guest that stays."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path

import pytest

from tests.e2e.conftest import PATIENCE, Ctl, printed
from tests.helpers.command_line import CTL
from tests.helpers.pseudo_terminal import PseudoTerminal


@pytest.fixture
def ctl(ctl_of_one: Ctl) -> Ctl:
    return ctl_of_one


SCRIPT = (
    "cat /v/file; pwd; id -u; echo $A; hostname; ulimit -n; echo err >&2; "
    "touch /x /v/x; trap 'exit 9' TERM; while :; do sleep 0.1; done"
)


@pytest.fixture
def web(ctl: Ctl, tmp_path: Path) -> str:
    """Start a container with many options; return its name."""
    (tmp_path / "file").write_text("of the host\n")
    options = (
        *("--name", "web", "-e", "A=b", "-w", "/tmp", "-m", "32m", "--pids", "16"),
        *("-v", f"{tmp_path}:/v:ro", "--read-only", "--ulimit", "nofile=77"),
        *("--tmpfs", "/t", "--cpus", "0.5", "--cap-drop", "ALL"),
    )
    command = ("run", "-d", "--guest", "one", *options, "--", "sh", "-c", SCRIPT)
    assert printed(ctl(*command)) == "web\n"
    return "web"


def test_a_detached_container_is_as_its_options_say(ctl: Ctl, web: str) -> None:
    (listed,) = map(json.loads, printed(ctl("ps", "--format", "json")).splitlines())
    assert (listed["id"], listed["guest"], listed["state"]) == ("web", "one", "running")
    assert ctl("run", "--guest", "one", "--name", web, "--", "true").returncode == 125
    assert "sleep" in printed(ctl("top", web, "--", "-o", "pid,args"))
    used = json.loads(printed(ctl("stats", "--no-stream", "--format=json", web)))
    assert used["memory_limit"] == 32 << 20
    assert 0 < used["memory"] < 32 << 20
    assert (
        ctl("run", "--guest", "one", "--hostname", "h", "--", "true").returncode == 125
    )
    logs = ctl("logs", web)
    assert logs.stdout.splitlines() == ["of the host", "/tmp", "0", "b", "one", "77"]
    assert logs.stderr.splitlines()[0] == "err"
    assert logs.stderr.count("Read-only file system") == 2


def test_an_exec_is_as_its_container(ctl: Ctl, web: str) -> None:
    inside = "pwd; echo $A; ulimit -n; grep CapEff /proc/self/status; touch /t/x"
    answers = printed(ctl("exec", web, "--", "sh", "-c", inside)).split()
    assert answers == ["/tmp", "b", "77", "CapEff:", "0000000000000000"]
    other = ("-e", "B=c", "-u", "65534:5", "-w", "/", "one/we", "--", "sh", "-c")
    more = ctl("exec", *other, "echo $A$B; id -u; id -g; pwd")
    assert printed(more).split() == ["bc", "65534", "5", "/"]
    for name, command, status in (
        (web, "no-such-program", 127),
        (web, "/tmp", 126),
        ("none", "true", 125),
    ):
        assert ctl("exec", name, "--", command).returncode == status


def test_the_end_of_a_detached_container_is_known(ctl: Ctl, web: str) -> None:
    assert "container 'web': running" in ctl("rm", web).stderr
    assert printed(ctl("stop", "-t", "20s", web)) == "web\n"
    assert printed(ctl("wait", web)) == "9\n"
    assert printed(ctl("ps", "-q")) == ""
    (known,) = json.loads(printed(ctl("inspect", web)))
    assert (known["state"], known["status"]) == ("exited", 9)
    last = ctl("logs", "--tail", "1", web)
    assert len((last.stdout + last.stderr).splitlines()) == 1
    assert printed(ctl("rm", web)) == "web\n"


def test_a_detached_container_may_have_a_guest_of_its_own(ctl: Ctl) -> None:
    command = ("run", "-d", "--name", "box", "--hostname", "h", "--")
    assert printed(ctl(*command, "sleep", "1000")) == "box\n"
    guests = printed(ctl("guest", "list", "--json")).splitlines()
    assert [json.loads(guest)["name"] for guest in guests] == ["box", "one"]
    assert printed(ctl("exec", "box", "--", "hostname")) == "h\n"
    assert printed(ctl("kill", "box")) == "box\n"
    assert printed(ctl("wait", "box")) == "137\n"
    assert printed(ctl("rm", "box")) == "box\n"
    assert len(printed(ctl("guest", "list", "--json")).splitlines()) == 1


def test_a_detached_container_that_cannot_start_leaves_nothing(ctl: Ctl) -> None:
    for where in (("--guest", "one"), ()):
        ran = ctl("run", "-d", *where, "--name", "bad", "--", "no-such-program")
        assert (ran.stdout, ran.returncode) == ("", 127)
        assert printed(ctl("ps", "-aq")) == ""
    assert len(printed(ctl("guest", "list", "--json")).splitlines()) == 1


def test_one_that_is_removed_at_its_end_is_gone(ctl: Ctl) -> None:
    command = ("run", "-d", "--rm", "--guest", "one", "--name", "brief", "--")
    assert printed(ctl(*command, "sh", "-c", "read a; exit 3")) == "brief\n"
    # Its input is empty, so it has ended by now, or will at once.
    ctl("wait", "brief")
    assert printed(ctl("ps", "-aq")) == ""


def test_a_killed_command_leaves_no_container(ctl: Ctl, one: dict[str, str]) -> None:
    command = [*CTL, "run", "--guest", "one", "--name", "gone", "--"]
    # The next command removes what is left: its name is free, also in the guest.
    for next_command, printed_by_it in (
        (("ps", "-aq"), ""),
        (("run", "-d", *command[4:], "sleep", "1000"), "gone\n"),
    ):
        running = subprocess.Popen(
            [*command, "sh", "-c", "echo ready; exec sleep 1000"],
            env=one,
            stdout=subprocess.PIPE,
        )
        assert running.stdout is not None
        assert running.stdout.readline() == b"ready\n"
        assert printed(ctl("ps", "-q")) == "gone\n"
        running.kill()
        running.communicate()
        assert printed(ctl(*next_command)) == printed_by_it
    # A detached one stays when its keeper is killed.
    assert '"remove": false' in printed(ctl("inspect", "gone"))
    assert printed(ctl("rm", "-f", "gone")) == "gone\n"


def test_ctrl_p_ctrl_q_leaves_a_container_and_attach_comes_back(
    ctl: Ctl, one: dict[str, str]
) -> None:
    terminal = PseudoTerminal()
    terminal.resize(30, 100)

    def start(*arguments: str) -> subprocess.Popen[bytes]:
        fd = terminal.program
        return subprocess.Popen(
            [*CTL, *arguments], env=one, stdin=fd, stdout=fd, stderr=fd
        )

    before = terminal.settings()
    ran = start("run", "-it", "--guest", "one", "--name", "tty", "--", "sh")
    terminal.type(b"stty size\r")
    terminal.expect(b"30 100")
    terminal.type(b"A=kept\r\x10\x11")
    assert ran.wait(PATIENCE) == 0
    assert terminal.settings() == before
    assert printed(ctl("ps", "-q")) == "tty\n"
    terminal.resize(33, 99)
    attached = start("attach", "tty")
    terminal.type(b'echo "<$A>"; stty size\r')
    terminal.expect(b"<kept>\r\n")
    terminal.expect(b"33 99")
    terminal.type(b"exit 4\r")
    assert attached.wait(PATIENCE) == 4
    terminal.close()
    assert printed(ctl("ps", "-aq")) == ""


def test_a_terminal_without_input_leaves_the_keyboard_alone(
    one: dict[str, str],
) -> None:
    terminal = PseudoTerminal()
    before = terminal.settings()
    fd = terminal.program
    ran = subprocess.Popen(
        [*CTL, "run", "-t", "--guest", "one", "--", "sh", "-c", "tty; exec sleep 1000"],
        env=one,
        stdin=fd,
        stdout=fd,
        stderr=fd,
        start_new_session=True,
    )
    terminal.expect(b"/dev/")
    assert terminal.settings() == before
    terminal.type(b"for the shell\n")
    ran.send_signal(signal.SIGINT)
    assert ran.wait(PATIENCE) == 130
    assert os.read(fd, 100) == b"for the shell\n"
    terminal.close()


def tree_of(top: Path) -> dict[str, tuple[int, bytes | str | None]]:
    """Return mode and content of all that is below a directory."""
    found: dict[str, tuple[int, bytes | str | None]] = {}
    for path in sorted(top.rglob("*")):
        content: bytes | str | None = None
        if path.is_symlink():
            content = os.readlink(path)
        elif path.is_file():
            content = path.read_bytes()
        found[str(path.relative_to(top))] = (path.lstat().st_mode, content)
    return found


def test_files_are_copied_both_ways(ctl: Ctl, tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    (tree / "sub" / "empty").mkdir(parents=True)
    (tree / "sub" / ("n" * 150)).write_bytes(os.urandom(3_000_000))
    (tree / "sub" / "program").write_text("#!/bin/sh\n")
    (tree / "sub" / "program").chmod(0o710)
    (tree / "sub" / "empty").chmod(0o500)
    (tree / "link").symlink_to("sub/program")
    command = ("run", "-d", "--guest", "one", "--name", "box", "--", "sleep", "1000")
    assert printed(ctl(*command)) == "box\n"

    # Into a directory, under another name, and back in the same ways.
    assert printed(ctl("cp", str(tree), "box:/tmp")) == ""
    assert printed(ctl("cp", str(tree), "one/box:/tmp/new")) == ""
    (tmp_path / "back").mkdir()
    assert printed(ctl("cp", "box:/tmp/tree", str(tmp_path / "back"))) == ""
    assert printed(ctl("cp", "box:/tmp/new", str(tmp_path / "other"))) == ""
    assert tree_of(tmp_path / "back" / "tree") == tree_of(tree)
    assert tree_of(tmp_path / "other") == tree_of(tree)

    # What is in a directory, into one that is there.
    assert printed(ctl("cp", f"{tree}/sub/.", "box:/var")) == ""
    assert printed(ctl("exec", "box", "--", "stat", "-c", "%a", "/var/program"))
    assert printed(ctl("cp", "box:/tmp/tree/sub/.", str(tmp_path / "back"))) == ""
    assert (tmp_path / "back" / "program").read_text() == "#!/bin/sh\n"

    # One file, and archives.
    assert printed(ctl("cp", str(tree / "sub/program"), "box:/tmp/p")) == ""
    mode = printed(ctl("exec", "box", "--", "stat", "-c", "%u %a", "/tmp/p"))
    assert mode == "0 710\n"
    assert printed(ctl("cp", "box:/tmp/p", str(tmp_path))) == ""
    assert (tmp_path / "p").read_text() == "#!/bin/sh\n"
    archive = printed(ctl("cp", "box:/tmp/p", "-"))
    assert ctl("cp", "-", "box:/var", input=archive).returncode == 0
    assert printed(ctl("exec", "box", "--", "cat", "/var/p")) == "#!/bin/sh\n"

    # What is not there, and an archive that would write where it must not.
    assert "none" in ctl("cp", "box:/none", str(tmp_path)).stderr
    assert "No such" in ctl("cp", str(tmp_path / "none"), "box:/tmp").stderr
    hostile = "ln -s / /tmp/out && ln -s /etc /tmp/new/abs"
    assert printed(ctl("exec", "box", "--", "sh", "-c", hostile)) == ""
    for path in ("/tmp/out", "/dev/null"):
        refused = ctl("cp", f"box:{path}", str(tmp_path / "bad"))
        assert refused.returncode == 1
        assert "a link that leads elsewhere, or no file" in refused.stderr
    assert not (tmp_path / "bad").exists()
    tree = ctl("cp", "box:/tmp/new", str(tmp_path / "tree"))
    assert (tree.returncode, "left out" in tree.stderr) == (0, True)
    assert "abs" not in os.listdir(tmp_path / "tree")


def test_a_copy_that_is_cut_short_leaves_no_program(
    ctl: Ctl, one: dict[str, str], tmp_path: Path
) -> None:
    command = ("run", "-d", "--guest", "one", "--name", "box", "--", "sleep", "1000")
    assert printed(ctl(*command)) == "box\n"
    processes = printed(ctl("top", "box", "--", "-o", "pid")).split()

    # Control-C, while the archive is awaited, and a reader who has enough.
    copy = [*CTL, "cp", "-", "box:/tmp"]
    copying = subprocess.Popen(
        copy, env=one, stdin=subprocess.PIPE, stderr=subprocess.PIPE
    )
    while len(printed(ctl("top", "box", "--", "-o", "pid")).split()) == len(processes):
        assert copying.poll() is None
    copying.send_signal(signal.SIGINT)
    assert (copying.communicate()[1], copying.returncode) == (b"", 130)
    copying = subprocess.Popen(
        [*CTL, "cp", "box:/bin", "-"],
        env=one,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert copying.stdout is not None
    assert copying.stdout.read(1)
    copying.stdout.close()
    assert copying.stderr is not None
    assert (copying.stderr.read(), copying.wait()) == (b"", 128 + signal.SIGPIPE)
    copying.stderr.close()
    assert printed(ctl("top", "box", "--", "-o", "pid")).split() == processes

    # Nowhere to put it: one line, and no program either. A name is no option.
    nowhere = ctl("cp", "box:/etc", str(tmp_path / "none" / "etc"))
    assert (nowhere.stderr.count("\n"), nowhere.returncode) == (1, 1)
    (tmp_path / "file").write_text("content")
    assert printed(ctl("cp", str(tmp_path / "file"), "box:/tmp/--help")) == ""
    assert printed(ctl("cp", "box:/tmp/--help", str(tmp_path))) == ""
    assert (tmp_path / "--help").read_text() == "content"
    assert printed(ctl("top", "box", "--", "-o", "pid")).split() == processes


def test_files_of_the_guest_itself_are_copied(ctl: Ctl, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("content")
    assert printed(ctl("cp", str(tmp_path / "file"), "one:/run/copied")) == ""
    assert printed(ctl("cp", "one:/run/copied", str(tmp_path / "back"))) == ""
    assert (tmp_path / "back").read_text() == "content"
