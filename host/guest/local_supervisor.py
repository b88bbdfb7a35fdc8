# SPDX-License-Identifier: Apache-2.0
"""The process that holds a local guest: it starts it, is its server, and cleans up.

    host process ── control pipe ──> supervisor ── fork, PID namespace ──> agent
                 <── status lines ──     │
    client ── guest.sock ── CONNECT ─────┴── guest.sock.d/<port> ────────> agent

It stands between the host process and the guest so that neither end needs the
other alive for the cleaning up: when the host process ends, however it does, the
control pipe closes and the supervisor ends the guest; when the supervisor is
killed, the kernel kills the guest (PR_SET_PDEATHSIG on the PID 1 of its PID
namespace), and the next supervisor removes the cgroups it left.

Only small modules are imported here: this process starts within every run.
"""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import sys
from typing import TYPE_CHECKING, Any, Final, NoReturn

from kata_host.guest import local_cgroup
from kata_host.guest.local_init import Plan, become_agent
from kata_host.guest.local_syscall import (
    CLONE_NEWNS,
    CLONE_NEWPID,
    MS_REC,
    MS_SLAVE,
    mount,
    unshare,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from kata_host.guest.hybrid_server import HybridServer

CONTROL: Final = 0
"""Descriptor: the host process holds the other end; its end ends the guest."""
STATUS: Final = 1
"""Descriptor: lines for the host process, `ready`, `failed: WHY`, `ended: HOW`."""


def main() -> None:
    """Hold one guest, as the JSON object in argv says, until it or the host ends.

    Without an argument: only remove what killed supervisors have left.
    """
    if len(sys.argv) == 1:
        _enter_mount_namespace("auto")
        return
    options: dict[str, Any] = json.loads(sys.argv[1])
    try:
        line = f"ended: {_hold_guest(**options)}"
    except (OSError, ValueError) as error:
        line = f"failed: {error}"
    remove_tree(options["directory"])
    _say(line)


def _hold_guest(
    directory: str,
    socket_path: str,
    command: list[str],
    environment: dict[str, str],
    cgroup: str,
    shared: list[str],
    console: str | None,
    cmdline: str,
    controlled: bool,
) -> str:
    """Start the guest, serve it, end it; return how it ended."""
    wakeup = _catch_signals()
    hierarchies = _enter_mount_namespace(cgroup)
    name = local_cgroup.own_name()
    try:
        local_cgroup.create(hierarchies, name)
        os.mkdir(f"{socket_path}.d", 0o700)
        pid = _spawn(
            command,
            environment,
            hierarchies,
            name,
            [directory, *shared],
            console,
            cmdline,
        )
        pidfd = os.pidfd_open(pid)
        try:
            server = _open_server(socket_path)
            try:
                _say("ready")
                _serve(server, [pidfd, wakeup, *([CONTROL] if controlled else [])])
            finally:
                server.close()
        finally:
            signal.pidfd_send_signal(pidfd, signal.SIGKILL)
            _, status = os.waitpid(pid, 0)
            os.close(pidfd)
    finally:
        local_cgroup.remove(hierarchies, name)
    code = os.waitstatus_to_exitcode(status)
    return f"exit status {code}" if code >= 0 else signal.Signals(-code).name


def _enter_mount_namespace(cgroup: str) -> list[local_cgroup.Hierarchy]:
    """Mount one version of cgroups where only this process sees it, and sweep it."""
    hierarchies = local_cgroup.hierarchies(cgroup)
    unshare(CLONE_NEWNS)
    # Not private: what the host unmounts must not stay busy because of a guest.
    mount("", "/", "", MS_REC | MS_SLAVE)
    local_cgroup.mount_hierarchies(hierarchies)
    local_cgroup.sweep(hierarchies)
    return hierarchies


def _catch_signals() -> int:
    """Make the signals that ask for an end readable; return the descriptor."""
    reader, writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.set_wakeup_fd(writer)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: None)
    return reader


def _spawn(
    command: list[str],
    environment: dict[str, str],
    hierarchies: list[local_cgroup.Hierarchy],
    cgroup: str,
    shared: list[str],
    console: str | None,
    cmdline: str,
) -> int:
    """Start the agent as PID 1 of a new guest; return its pid here."""
    error_reader, error_writer = os.pipe2(os.O_CLOEXEC)
    alive_reader, _alive_writer = os.pipe2(os.O_CLOEXEC)
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
    output = os.dup(2) if console is None else os.open(console, flags, 0o600)
    unshare(CLONE_NEWPID)
    pid = os.fork()
    if not pid:
        os.close(_alive_writer)
        plan = Plan(
            command,
            environment,
            hierarchies,
            cgroup,
            shared,
            output,
            alive_reader,
            cmdline,
        )
        _run_child(plan, error_writer)
    for fd in (error_writer, alive_reader, output):
        os.close(fd)
    # Ends when the child executes the agent, or with what kept it from that.
    with open(error_reader, "rb") as reader:
        message = reader.read()
    if message:
        os.waitpid(pid, 0)
        raise OSError(message.decode(errors="replace"))
    return pid


def _run_child(plan: Plan, error_writer: int) -> NoReturn:
    try:
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGPIPE):
            signal.signal(number, signal.SIG_DFL)
        become_agent(plan)
    except BaseException as error:
        os.write(error_writer, f"local guest: {error}".encode())
    finally:
        os._exit(1)


def _open_server(socket_path: str) -> HybridServer:
    # Imported while the agent starts on the other processor.
    from pathlib import Path

    from kata_host.guest.hybrid_server import HybridServer

    def connect(port: int) -> socket.socket:
        connection = socket.socket(
            socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK
        )
        try:
            # Never waits: a full backlog is nobody listening.
            connection.connect(f"{socket_path}.d/{port}")
        except BaseException:
            connection.close()
            raise
        return connection

    return HybridServer(Path(socket_path), connect)


def _serve(server: HybridServer, endings: list[int]) -> None:
    """Serve clients until one of the descriptors in `endings` is readable."""
    poll = select.poll()
    poll.register(server, select.POLLIN)
    for fd in endings:
        poll.register(fd, select.POLLIN)
    while True:
        ready = poll.poll(0 if server.busy else None)
        if any(fd in endings for fd, _ in ready):
            return
        server.turn(0)


def remove_tree(top: str) -> None:
    """Remove the directory `top`, of which others may have removed parts."""
    for directory, directories, files in os.walk(top, topdown=False):
        for name in files:
            _remove(os.unlink, f"{directory}/{name}")
        for name in directories:
            path = f"{directory}/{name}"
            _remove(os.unlink if os.path.islink(path) else os.rmdir, path)
    _remove(os.rmdir, top)


def _remove(remove: Callable[[str], None], path: str) -> None:
    try:
        remove(path)
    except FileNotFoundError:
        return


def _say(line: str) -> None:
    try:
        os.write(STATUS, f"{line}\n".encode())
    except BrokenPipeError:
        return  # The host process has ended: nobody asks any more.
