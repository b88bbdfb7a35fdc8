# SPDX-License-Identifier: Apache-2.0
"""The holder as a process of its own, with a guest that does nothing but say so."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import pytest

from kata_host.child import child_environment
from kata_host.guest import registry
from kata_host.guest.guest_entry import GuestState
from kata_host.guest.holder import to_guest
from kata_host.guest.local_guest import LocalGuest
from kata_host.guest.start_request import StartRequest

PROGRAM = """
import os, sys
from kata_host.guest import holder
from kata_host.guest.guest import GuestError

class Guest:
    address = "hvsock:///nowhere:1024"

    def __init__(self, directory):
        self.directory = directory

    def start(self):
        os.mkdir(self.directory)
        if os.environ.get("WARNS"):
            holder.warn("guest: odd")
        if os.environ.get("FAILS"):
            raise GuestError("guest: cannot start")
        if os.environ.get("HANGS"):
            print('{"starting": true}', flush=True)
            os.read(int(os.environ["END"]), 1)

    def ending(self, timeout):
        # Ends when the test closes its end of the pipe.
        os.read(int(os.environ["END"]), 1)
        return "exit status 3"

    def stop(self):
        with open(os.environ["STOPPED"], "w") as file:
            file.write(str(self.directory))

holder.to_guest = lambda request: Guest(holder.registry.directory_of(request.name))
sys.exit(holder.main())
"""
TIMEOUT = 20


class Holder:
    """A running holder of the guest `one`."""

    def __init__(self, directory: Path, **environment: str) -> None:
        self.stopped = directory / "stopped"
        reader, self._writer = os.pipe()
        request = json.dumps(asdict(StartRequest("one", "local")))
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-c", PROGRAM, request],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            pass_fds=[reader],
            env={
                **child_environment(),
                "STOPPED": str(self.stopped),
                "END": str(reader),
                **environment,
            },
        )
        os.close(reader)
        assert self.process.stdout is not None
        self.report = json.loads(self.process.stdout.readline())

    def let_go(self) -> None:
        """Tell it that the guest is the user's, and end as the command does."""
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.close()

    def end_guest(self) -> None:
        os.close(self._writer)
        self._writer = -1

    def close(self) -> None:
        if self._writer >= 0:
            self.end_guest()
        self.process.kill()
        self.process.communicate()


@pytest.fixture(autouse=True)
def _own_registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))


@pytest.fixture
def holder(tmp_path: Path) -> Iterator[Holder]:
    holder = Holder(tmp_path)
    yield holder
    holder.close()


def test_it_reports_the_address_and_keeps_the_entry(holder: Holder) -> None:
    assert holder.report == {"address": "hvsock:///nowhere:1024"}
    entry, state = registry.find("one")
    assert state is GuestState.RUNNING
    assert (entry.pid, entry.kind) == (holder.process.pid, "local")
    assert entry.address == "hvsock:///nowhere:1024"


def test_what_is_odd_is_told_before_the_address(tmp_path: Path) -> None:
    holder = Holder(tmp_path, WARNS="1")
    assert holder.report == {"warning": "guest: odd"}
    assert holder.process.stdout is not None
    assert json.loads(holder.process.stdout.readline()) == {
        "address": "hvsock:///nowhere:1024"
    }
    holder.close()


def test_its_standard_output_is_closed_after_the_report(holder: Holder) -> None:
    assert holder.process.stdout is not None
    assert holder.process.stdout.read() == ""
    assert holder.process.poll() is None


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_the_guest_and_removes_the_entry(
    holder: Holder, number: signal.Signals
) -> None:
    holder.process.send_signal(number)
    assert holder.process.wait(TIMEOUT) == 0
    assert holder.stopped.read_text() == str(registry.directory_of("one"))
    with pytest.raises(registry.GuestNotFound):
        registry.find("one")


@pytest.mark.parametrize("starting", ["1", ""])
def test_a_command_that_ends_too_soon_takes_the_guest_with_it(
    tmp_path: Path, starting: str
) -> None:
    """While the guest starts, and before the command says that it has the guest."""
    holder = Holder(tmp_path, HANGS=starting)
    assert holder.process.stdin is not None
    holder.process.stdin.close()
    assert holder.process.wait(TIMEOUT) == 0
    assert holder.stopped.exists()
    assert not registry.directory_of("one").exists()
    with pytest.raises(registry.GuestNotFound):
        registry.find("one")
    holder.process.stdin = None
    holder.close()


def test_a_guest_that_is_the_users_outlives_the_command(holder: Holder) -> None:
    holder.let_go()
    holder.process.stdin = None
    with pytest.raises(subprocess.TimeoutExpired):
        holder.process.wait(0.2)
    assert registry.find("one")[1] is GuestState.RUNNING


def test_the_end_of_a_terminal_does_not_stop_the_guest(holder: Holder) -> None:
    holder.process.send_signal(signal.SIGHUP)
    holder.process.send_signal(signal.SIGTERM)
    assert holder.process.wait(TIMEOUT) == 0


def test_a_guest_that_ends_by_itself_leaves_an_entry_that_says_how(
    holder: Holder,
) -> None:
    holder.end_guest()
    assert holder.process.wait(TIMEOUT) == 0
    entry, state = registry.find("one")
    assert state is GuestState.ENDED
    assert (entry.ending, entry.address) == ("exit status 3", "")
    assert holder.stopped.exists()


def test_a_holder_that_is_killed_leaves_a_lost_guest_whose_name_can_be_reused(
    holder: Holder, tmp_path: Path
) -> None:
    holder.process.kill()
    holder.process.wait(TIMEOUT)
    assert registry.find("one")[1] is GuestState.LOST
    assert registry.directory_of("one").exists()
    again = Holder(tmp_path)
    assert "address" in again.report
    again.close()


def test_a_guest_that_cannot_be_started_is_an_error_and_leaves_nothing(
    tmp_path: Path,
) -> None:
    holder = Holder(tmp_path, FAILS="1")
    assert holder.report == {"error": "guest: cannot start"}
    assert holder.process.wait(TIMEOUT) == 1
    holder.close()
    assert not registry.directory_of("one").exists()
    with pytest.raises(registry.GuestNotFound):
        registry.find("one")


def test_a_name_that_is_taken_is_an_error(holder: Holder, tmp_path: Path) -> None:
    second = Holder(tmp_path)
    assert second.report == {"exists": "guest 'one': already exists"}
    second.close()
    assert registry.find("one")[0].pid == holder.process.pid


def test_a_local_guest_gets_the_directory_of_its_name() -> None:
    guest = to_guest(StartRequest("one", "local", parameters=["agent.log=debug"]))
    assert isinstance(guest, LocalGuest)
    assert guest.directory == registry.directory_of("one")
