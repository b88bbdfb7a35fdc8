# SPDX-License-Identifier: Apache-2.0
"""No way of ending a command leaves anything, or nothing that the next one leaves too.

The fixture `scratch` looks for files, processes, mounts and sockets afterwards.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kata_host.guest.local_cgroup import PREFIX
from tests.e2e.conftest import (
    Ctl,
    environment_of_guests,
    traces_of,
    wait_until,
)
from tests.helpers.vm import require_image

Process = subprocess.Popen[bytes]
Start = Callable[..., Process]
PATIENCE = 60
ENDING = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL]
STATUS = {number: 128 + number for number in ENDING} | {signal.SIGKILL: -9}


@pytest.fixture
def environment(scratch: Path) -> Iterator[dict[str, str]]:
    with environment_of_guests(scratch) as environment:
        yield environment


def has(scratch: Path, pattern: str) -> Callable[[], bool]:
    return lambda: any(scratch.glob(pattern))


def nothing_is_left(scratch: Path, ctl: Ctl, *, killed: bool) -> None:
    """Check it, after the next command if the first one was killed."""
    if killed:
        assert ctl("guest", "list").returncode == 0
    # What the kernel kills takes a moment to go.
    kept = {f"{scratch}/run"}
    wait_until(lambda: set(traces_of(scratch)) <= kept)
    left = [path for path in (scratch / "run").rglob("*") if path.suffix != ".json"]
    assert left in ([], [scratch / "run/kata-agent"])


def cgroups() -> set[str]:
    return {
        os.path.join(directory, name)
        for directory, names, _ in os.walk("/sys/fs/cgroup")
        for name in names
        if name.startswith(PREFIX)
    }


def supervisor_of(pid: int) -> int:
    """Return the child that supervises a guest; a program has other children too."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    found = []
    for child in children:
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            if "local_supervisor" in Path(f"/proc/{child}/cmdline").read_text():
                found.append(int(child))
    (supervisor,) = found
    return supervisor


def end_at(
    moment: Callable[[], bool], process: Process, number: signal.Signals
) -> None:
    wait_until(moment)
    process.send_signal(number)
    assert process.wait(PATIENCE) == STATUS[number]


# --- local guests ---


@pytest.mark.parametrize("number", ENDING)
@pytest.mark.parametrize(
    "moment", ["kata-local.*", "kata-local.*/guest.sock", "kata-local.*/rootfs/bin/sh"]
)
def test_a_run_in_a_local_guest(
    started: Start, ctl: Ctl, scratch: Path, moment: str, number: signal.Signals
) -> None:
    process = started("run", "--", "sleep", "1000")
    end_at(has(scratch, moment), process, number)
    nothing_is_left(scratch, ctl, killed=number is signal.SIGKILL)


@pytest.mark.parametrize("number", ENDING)
@pytest.mark.parametrize("moment", ["*.json", "a/guest.sock"])
def test_a_start_of_a_local_guest(
    started: Start, ctl: Ctl, scratch: Path, moment: str, number: signal.Signals
) -> None:
    process = started("guest", "start", "--name", "a", stdout=subprocess.DEVNULL)
    end_at(has(scratch, f"run/kata-agent/{moment}"), process, number)
    nothing_is_left(scratch, ctl, killed=number is signal.SIGKILL)
    assert ctl("guest", "list").stdout.split() == ["NAME", "KIND", "STATE", "ADDRESS"]


def test_a_supervisor_that_is_killed_with_its_command(
    started: Start, ctl: Ctl, scratch: Path
) -> None:
    """Nobody is left to clean up; the next run does, its cgroups too."""
    process = started("run", "--", "sleep", "1000")
    wait_until(has(scratch, "kata-local.*/guest.sock"))
    supervisor = supervisor_of(process.pid)
    own = {path for path in cgroups() if f"{PREFIX}{supervisor}-" in path}
    assert own
    pidfd = os.pidfd_open(supervisor)
    os.kill(process.pid, signal.SIGSTOP)
    os.kill(supervisor, signal.SIGKILL)
    process.kill()
    process.wait(PATIENCE)
    os.close(pidfd)
    assert ctl("run", "--", "true").returncode == 0
    nothing_is_left(scratch, ctl, killed=False)
    assert not own & cgroups()


def test_a_holder_that_is_killed_with_its_supervisor(ctl: Ctl, scratch: Path) -> None:
    assert ctl("guest", "start", "--name", "a").returncode == 0
    directory = scratch / "run/kata-agent/a"
    assert directory.exists()
    holder = json.loads(ctl("guest", "list", "--json").stdout)["pid"]
    supervisor = supervisor_of(holder)
    own = {path for path in cgroups() if f"{PREFIX}{supervisor}-" in path}
    assert own
    # The holder's new parent may be these tests, which reap no strangers.
    pidfd = os.pidfd_open(holder)
    for pid in (supervisor, holder):
        os.kill(pid, signal.SIGKILL)
    wait_until(lambda: select.select([pidfd], [], [], 0)[0])
    os.close(pidfd)
    (line,) = ctl("guest", "list").stdout.splitlines()[1:]
    assert line.split() == ["a", "local", "lost"]
    assert not directory.exists()
    assert not own & cgroups()


def test_the_sweep_touches_no_guest_of_a_live_process(
    started: Start, ctl: Ctl, scratch: Path
) -> None:
    assert ctl("guest", "start", "--name", "a").returncode == 0
    process = started("run", "--", "sh", "-c", "echo ready; sleep 1000", stdout=-1)
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    killed = started("run", "--", "sleep", "1000")
    wait_until(lambda: len(list(scratch.glob("kata-local.*/guest.sock"))) == 2)
    killed.kill()
    killed.wait()
    for command in (("run", "--", "true"), ("guest", "list"), ("guest", "stop", "b")):
        ctl(*command)
    assert ctl("run", "--guest", "a", "--", "true").returncode == 0
    assert process.poll() is None
    (directory,) = scratch.glob("kata-local.*")
    process.send_signal(signal.SIGTERM)
    assert process.wait(PATIENCE) == 143
    assert not directory.exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signals_one_after_another_do_not_interrupt_the_clean_up(
    started: Start, ctl: Ctl, scratch: Path, number: signal.Signals
) -> None:
    process = started("run", "--", "sleep", "1000")
    wait_until(has(scratch, "kata-local.*"))
    while process.poll() is None:
        process.send_signal(number)
    assert process.wait(PATIENCE) == 128 + number
    nothing_is_left(scratch, ctl, killed=False)


@pytest.mark.parametrize("number", ENDING)
def test_a_shell_and_a_copy(
    started: Start, ctl: Ctl, scratch: Path, number: signal.Signals
) -> None:
    assert ctl("guest", "start", "--name", "a").returncode == 0
    source = scratch / "source"
    with source.open("wb") as file:
        file.truncate(1 << 30)
    shell = started("shell", "a", stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert shell.stdout is not None
    assert shell.stdout.read(1)
    copy = started("cp", "--guest", "a", str(source), stdout=subprocess.DEVNULL)
    wait_until(lambda: has_open(copy.pid, source))
    for process in (shell, copy):
        end_at(lambda: True, process, number)
    source.unlink()
    # The guest has noticed that both have gone, and works.
    assert ctl("run", "--guest", "a", "--", "true").returncode == 0
    assert ctl("guest", "stop", "a").returncode == 0
    nothing_is_left(scratch, ctl, killed=False)


def has_open(pid: int, path: Path) -> bool:
    directory = Path(f"/proc/{pid}/fd")
    try:
        return path in [fd.readlink() for fd in directory.iterdir()]
    except FileNotFoundError:
        return False


# --- VMs ---


@pytest.mark.vm
@pytest.mark.slow
@pytest.mark.parametrize("number", ENDING)
@pytest.mark.parametrize(
    "moment", ["kata-guest.*", "kata-guest.*/guest.sock", "kata-guest.*/qmp.sock"]
)
def test_a_run_in_a_vm(
    started: Start, ctl: Ctl, scratch: Path, moment: str, number: signal.Signals
) -> None:
    require_image()
    process = started("run", "--vm", "--", "sleep", "1000")
    end_at(has(scratch, moment), process, number)
    nothing_is_left(scratch, ctl, killed=number is signal.SIGKILL)


@pytest.mark.vm
@pytest.mark.slow
@pytest.mark.parametrize("number", ENDING)
def test_a_start_of_a_vm(
    started: Start, ctl: Ctl, scratch: Path, number: signal.Signals
) -> None:
    require_image()
    words = ("guest", "start", "--vm", "--name", "a")
    process = started(*words, stdout=subprocess.DEVNULL)
    end_at(has(scratch, "run/kata-agent/a/qmp.sock"), process, number)
    nothing_is_left(scratch, ctl, killed=number is signal.SIGKILL)
    assert ctl("guest", "list").stdout.split() == ["NAME", "KIND", "STATE", "ADDRESS"]
