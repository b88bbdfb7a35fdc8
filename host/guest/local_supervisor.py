# SPDX-License-Identifier: Apache-2.0
"""The process that holds a local guest: starts it, connects clients to it, cleans up.

    host process ── control pipe ──> supervisor ── fork, PID namespace ──> agent
                 <── status lines ──     │
    client ── guest.sock ── CONNECT ─────┴── guest.sock.d/<port> ────────> agent

The supervisor stands between the host process and the guest so that the clean-up needs
neither of them alive. When the host process ends in any way, the control pipe
closes and the supervisor ends the guest. When the supervisor is killed, the kernel
kills the guest (PR_SET_PDEATHSIG on the PID 1 of its PID namespace), and the next
supervisor removes the cgroups that are left.

Only small modules are imported here, because this process starts within every run.
"""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import sys
from typing import TYPE_CHECKING, Final, NoReturn

from kata_host.guest import local_cgroup
from kata_host.guest.first_process import become_first_process
from kata_host.guest.local_init import Plan, become_agent
from kata_host.guest.local_settings import LocalSettings
from kata_host.guest.local_syscall import (
    CLONE_NEWNS,
    CLONE_NEWPID,
    MS_REC,
    MS_SLAVE,
    mount,
    unshare,
)
from kata_host.guest.wait_status import describe
from kata_host.starter import default_all_signals, forget_starter

if TYPE_CHECKING:
    from collections.abc import Callable

    from kata_host.guest.hybrid_server import HybridServer
    from kata_host.guest.slirp import Slirp

CONTROL: Final = 0
"""Descriptor whose other end the host process holds; its end ends the guest."""
STATUS: Final = 1
"""Descriptor for lines to the host process: `ready`, `failed: WHY`, `ended: HOW`."""
THAW_INTERVAL: Final = 0.02
"""Seconds from one thaw of an ending guest to the next; a paused container would
outlive it."""
END_PATIENCE: Final = 0.5
"""Seconds for an end of the guest to be seen after its network has failed."""
_ENDING_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def main() -> None:
    """Hold the guest whose settings are in argv until the guest or the host ends.

    Without settings: only remove the cgroups that killed supervisors have left.
    """
    if len(sys.argv) == 1:
        _enter_mount_namespace("auto")
        return
    settings = LocalSettings(**json.loads(sys.argv[1]))
    try:
        line = f"ended: {_hold_guest(settings)}"
    except (OSError, ValueError) as error:
        line = f"failed: {error}"
    remove_tree(settings.directory)
    _write_status(line)


def _hold_guest(settings: LocalSettings) -> str:
    """Start the guest, serve its clients, end it; return how it ended."""
    forget_starter()
    become_first_process()
    wakeup = _catch_signals()
    hierarchies = _enter_mount_namespace(settings.cgroup)
    name = local_cgroup.own_name()
    try:
        local_cgroup.create(hierarchies, name)
        os.mkdir(f"{settings.socket_path}.d", 0o700)
        pid = _spawn(settings, hierarchies, name)
        pidfd = os.pidfd_open(pid)
        endings = [pidfd, wakeup, CONTROL]
        slirp = None
        try:
            slirp = _connect_to_network(settings, pid, endings)
            server = _open_server(settings.socket_path)
            try:
                _write_status("ready")
                _serve(server, [*endings, slirp.fileno()] if slirp else endings)
            finally:
                server.close()
        finally:
            if slirp is not None:
                slirp.close()
            signal.pidfd_send_signal(pidfd, signal.SIGKILL)
            # The kernel kills every other process of the guest, and PID 1 ends last.
            while not select.select([pidfd], [], [], THAW_INTERVAL)[0]:
                local_cgroup.thaw(hierarchies, name)
            _, status = os.waitpid(pid, 0)
            os.close(pidfd)
    finally:
        local_cgroup.remove(hierarchies, name)
    if slirp is not None and slirp.failure and _was_killed(status):
        return slirp.failure
    return describe(status)


def _connect_to_network(
    settings: LocalSettings, guest: int, endings: list[int]
) -> Slirp | None:
    """Start slirp4netns, if the guest has a network. Raises `OSError`."""
    if not settings.slirp:
        return None
    from kata_host.guest.slirp import Slirp

    try:
        return Slirp(settings.slirp, guest, endings)
    except OSError:
        # A guest that has ended takes no more processes, and its end is the cause.
        if select.select(endings[:1], [], [], END_PATIENCE)[0]:
            return None
        raise


def _was_killed(status: int) -> bool:
    return os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL


def _enter_mount_namespace(cgroup: str) -> list[local_cgroup.Hierarchy]:
    """Mount one cgroup version where only this process sees it.

    Removes the cgroups of killed supervisors, of either version.
    """
    hierarchies = local_cgroup.hierarchies(cgroup)
    unshare(CLONE_NEWNS)
    # Slave and not private: the host's unmounts must take effect here, so that no
    # mount of the host stays busy because of a guest.
    mount("", "/", "", MS_REC | MS_SLAVE)
    for chosen in (local_cgroup.other_version(hierarchies), hierarchies):
        if chosen:
            local_cgroup.mount_hierarchies(chosen)
            local_cgroup.sweep(chosen)
    return hierarchies


def _catch_signals() -> int:
    """Return a descriptor that is readable once a signal asks for the guest's end."""
    reader, writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.set_wakeup_fd(writer)
    for number in _ENDING_SIGNALS:
        signal.signal(number, lambda *_: None)
    return reader


def _spawn(
    settings: LocalSettings, hierarchies: list[local_cgroup.Hierarchy], cgroup: str
) -> int:
    """Start the agent as PID 1 of a new guest; return its pid in our namespace.

    Raises `OSError` with the message of the step that failed.
    """
    error_reader, error_writer = os.pipe2(os.O_CLOEXEC)
    # The write end stays open here for as long as the supervisor lives.
    alive_reader, alive_writer = os.pipe2(os.O_CLOEXEC)
    console = _open_console(settings.console)
    unshare(CLONE_NEWPID)
    pid = os.fork()
    if not pid:
        os.close(alive_writer)
        _run_child(
            Plan(settings, hierarchies, cgroup, console, alive_reader), error_writer
        )
    for fd in (error_writer, alive_reader, console):
        os.close(fd)
    # Ends when the child executes the agent; holds an error's text if it cannot.
    with open(error_reader, "rb") as reader:
        message = reader.read()
    if message:
        os.waitpid(pid, 0)
        raise OSError(message.decode(errors="replace"))
    return pid


def _open_console(path: str | None) -> int:
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
    return os.dup(2) if path is None else os.open(path, flags, 0o600)


def _run_child(plan: Plan, error_writer: int) -> NoReturn:
    try:
        default_all_signals()
        become_agent(plan)
    except BaseException as error:
        os.write(error_writer, f"local guest: {error}".encode())
    finally:
        os._exit(1)


def _open_server(socket_path: str) -> HybridServer:
    # Imported here, while the agent starts on another CPU.
    from pathlib import Path

    from kata_host.guest.hybrid_server import HybridServer

    def connect(port: int) -> socket.socket:
        connection = socket.socket(
            socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK
        )
        try:
            # Never waits: with a full backlog, the port counts as closed.
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
        patience = server.patience
        ready = poll.poll(None if patience is None else patience * 1000)
        if any(fd in endings for fd, _ in ready):
            return
        server.turn(0)


def remove_tree(top: str) -> None:
    """Remove the directory `top`; another process may be removing parts of it."""
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


def _write_status(line: str) -> None:
    try:
        os.write(STATUS, f"{line}\n".encode())
    except BrokenPipeError:
        return  # The host process has ended.
