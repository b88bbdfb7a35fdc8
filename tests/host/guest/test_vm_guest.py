# SPDX-License-Identifier: Apache-2.0
"""A VM guest with a script in place of QEMU; the vsock backend is the real one."""

from __future__ import annotations

import fcntl
import os
import select
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from kata_host.guest.guest import GuestError
from kata_host.guest.image.store import Image
from kata_host.guest.vm_accelerator import VARIABLE
from kata_host.guest.vm_command import QEMU
from kata_host.guest.vm_guest import VmGuest

TIMEOUT = 20
SCRIPT = """#!/bin/sh
for word in "$@"; do
    case $word in
        unix:*) monitor=${{word#unix:}}; monitor=${{monitor%%,*}};;
        *logfile=*) console=${{word##*logfile=}};;
    esac
done
{body}
"""
RUNS = ': > "$monitor"; exec sleep 1000'

NewGuest = Callable[[str], VmGuest]


@pytest.fixture
def new_guest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[NewGuest]:
    """Makes a guest whose QEMU is a script."""
    if shutil.which("setpriv") is None:
        pytest.skip("needs setpriv")
    programs = tmp_path / "bin"
    programs.mkdir()
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    monkeypatch.setenv(VARIABLE, "tcg")
    made = []

    def new(body: str) -> VmGuest:
        program = programs / QEMU
        program.write_text(SCRIPT.format(body=body))
        program.chmod(0o755)
        image = Image(tmp_path / "image")
        guest = VmGuest(image, tmp_path / "vm", initrd=tmp_path / "initrd")
        made.append(guest)
        return guest

    yield new
    for guest in made:
        guest.stop()


def test_a_start_that_is_given_up_fails_and_leaves_nothing(
    new_guest: NewGuest,
) -> None:
    guest = new_guest(RUNS)
    guest.launch()
    with ThreadPoolExecutor(1) as thread:
        starting = thread.submit(guest.wait_until_ready, 1000)
        guest.give_up()
        with pytest.raises(GuestError, match="given up while booting"):
            starting.result(TIMEOUT)
    assert not guest.directory.exists()


def test_a_running_guest_has_no_ending_and_a_stopped_one_no_files(
    new_guest: NewGuest,
) -> None:
    guest = new_guest(RUNS)
    guest.launch()
    assert guest.ending() is None
    assert guest.socket.exists()
    assert guest.address == f"hvsock://{guest.socket}:1024"
    guest.stop()
    assert not guest.directory.exists()
    guest.stop()


def test_an_end_of_qemu_is_told_with_its_status(new_guest: NewGuest) -> None:
    guest = new_guest("exit 3")
    guest.launch()
    assert guest.ending(TIMEOUT) == "qemu ended with status 3"
    assert guest.wait(TIMEOUT) == 3


def test_a_killed_qemu_is_told_with_the_signal(new_guest: NewGuest) -> None:
    guest = new_guest(': > "$monitor"; kill -9 $$')
    guest.launch()
    assert guest.ending(TIMEOUT) == "qemu was killed by signal 9"


def test_the_reason_why_a_server_has_ended_qemu_is_the_ending(
    new_guest: NewGuest,
) -> None:
    guest = new_guest(
        ': > "$monitor"; printf %s why >"${monitor%/*}/reason"; kill -9 $$'
    )
    guest.launch()
    assert guest.ending(TIMEOUT) == "why"


def test_a_stop_waits_for_what_serves_the_guest(new_guest: NewGuest) -> None:
    guest = new_guest(RUNS)
    guest.launch()
    with guest.sockets.servers.open("w") as lock, ThreadPoolExecutor(1) as thread:
        fcntl.flock(lock, fcntl.LOCK_SH)
        stopping = thread.submit(guest.stop)
        with pytest.raises(TimeoutError):
            stopping.result(0.2)
        fcntl.flock(lock, fcntl.LOCK_UN)
        stopping.result(TIMEOUT)
    assert not guest.directory.exists()


def test_waiting_for_a_guest_that_runs_is_an_error(new_guest: NewGuest) -> None:
    guest = new_guest(RUNS)
    guest.launch()
    with pytest.raises(GuestError, match=r"still running after 0\.01 s"):
        guest.wait(0.01)


def test_an_agent_that_never_listens_is_an_error_with_the_console(
    new_guest: NewGuest,
) -> None:
    guest = new_guest('echo "no agent here" > "$console"; ' + RUNS)
    guest.launch()
    with pytest.raises(GuestError) as raised:
        guest.wait_until_ready(0.1)
    assert "no agent on port 1024 after 0.1 s" in str(raised.value)
    assert str(raised.value).endswith("its console ends with\n    no agent here")
    assert not guest.directory.exists()


def test_a_panic_is_the_last_line_that_an_error_shows(new_guest: NewGuest) -> None:
    lines = "booting\\nKernel panic - not syncing\\nRIP: 0010:0xffff\\n"
    guest = new_guest(f"printf '{lines}' > \"$console\"; exit 0")
    with pytest.raises(GuestError) as raised:
        guest.start()
    assert str(raised.value).splitlines()[1:] == [
        "    booting",
        "    Kernel panic - not syncing",
    ]
    assert "qemu ended with status 0 while booting" in str(raised.value)


def test_the_words_of_qemu_are_in_the_error(new_guest: NewGuest) -> None:
    guest = new_guest('echo "qemu: no such device" >&2; exit 1')
    with pytest.raises(GuestError, match="qemu: no such device"):
        guest.start()


def test_the_tail_of_the_console_has_the_last_lines(new_guest: NewGuest) -> None:
    guest = new_guest('seq 100 > "$console"; ' + RUNS)
    assert guest.console_tail() == []
    guest.launch()
    assert list(guest.console_tail(3)) == ["98", "99", "100"]


def test_a_missing_qemu_is_an_error_that_names_the_package(
    new_guest: NewGuest, monkeypatch: pytest.MonkeyPatch
) -> None:
    guest = new_guest(RUNS)
    find = shutil.which
    monkeypatch.setattr(
        shutil, "which", lambda name, **_: None if name == QEMU else find(name)
    )
    with pytest.raises(GuestError, match=r"not found \(package qemu-system-x86\)"):
        guest.start()
    assert not guest.directory.exists()


def test_a_path_too_long_for_sockets_is_an_error(tmp_path: Path) -> None:
    directory = tmp_path / ("x" * 100)
    guest = VmGuest(Image(tmp_path), directory)
    with pytest.raises(GuestError, match="path too long for a unix socket"):
        guest.start()
    assert not directory.exists()


def test_a_guest_that_was_not_started_has_no_end_to_wait_for(
    new_guest: NewGuest,
) -> None:
    guest = new_guest(RUNS)
    assert guest.ending() is None
    with pytest.raises(GuestError, match="not started"):
        guest.wait(1)


def test_both_processes_end_with_the_thread_that_started_them(
    new_guest: NewGuest,
) -> None:
    guest = new_guest(RUNS)
    pid = os.fork()
    if not pid:
        guest.launch()
        os._exit(0)
    os.waitpid(pid, 0)
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_bytes()
            pidfd = os.pidfd_open(int(process.name))
        except (FileNotFoundError, ProcessLookupError):
            continue
        if os.fsencode(guest.directory) in command:
            assert select.select([pidfd], [], [], TIMEOUT)[0], command
        os.close(pidfd)
