# SPDX-License-Identifier: Apache-2.0
"""A guest without a VM: the agent as PID 1 of new namespaces on this host.

For the first run, for tests and for developing a runtime: a local guest starts in
milliseconds and looks to a client like a VM behind a hybrid-vsock socket. A local guest
is no security boundary. `local_supervisor.py` is the process that holds it.
"""

from __future__ import annotations

import json
import os
import re
import select
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, Self

from kata_host.child import PACKAGES, module_command
from kata_host.guest.console import last_lines
from kata_host.guest.guest import AGENT_PORT, GuestError
from kata_host.guest.local_settings import LocalSettings
from kata_host.interruption import INTERRUPTION
from kata_host.needed_programs import missing
from kata_host.network import Network
from kata_host.scratch import Scratch

SOCKET_NAME: Final = "guest.sock"
CONSOLE_NAME: Final = "console.log"
_RUNTIME_OPTION: Final = "agent.runtime="
PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
CMDLINE_NAME: Final = "cmdline"
"""The names of the files in the guest's directory."""
STOP_TIMEOUT: Final = 20.0
"""Seconds that the supervisor has for its clean-up before it is killed."""
AGENT_PACKAGES: Final = ("kata_agent", "kata_protos", "kata_tracing", "ttrpc")
SOCKET_PATH_LIMIT: Final = 107 - len(".d/4294967295")
"""Bytes of `sun_path` (man 7 unix), less the longest suffix that ports add."""

_HOLDABLE: Final = re.compile(rb"[!-+\-./0-9;-\[\]-~ ]*")
"""Paths of ASCII without the characters that mean something in overlayfs's options."""
_SUPERVISOR: Final = (
    "import sys; sys.path.append({root!r});"
    "from kata_host.guest.local_supervisor import main; main()"
)


class LocalGuest:
    """A local guest in `directory`, which is made at start and removed at the end.

    `command` and `environment` run the agent. `cgroup` is the one version that the
    guest sees: `v1`, `v2`, or `auto` for the version that the host uses. `shared` are
    directories that the guest sees although they are below /run, which it has for
    itself. `parameters` are the words that a VM would have on its kernel's command
    line. With the network `user`, slirp4netns serves an interface that the host has to
    configure (`kata_host.client.user_network`). With `echo`, the console goes to
    standard error instead of a file.
    """

    def __init__(
        self,
        directory: Path | None = None,
        *,
        command: Sequence[str] = (*module_command("kata_agent"),),
        environment: Mapping[str, str] | None = None,
        cgroup: str = "auto",
        shared: Sequence[Path] = (),
        parameters: Sequence[str] = (),
        network: Network = "none",
        echo: bool = False,
    ) -> None:
        self._scratch: Scratch | None = None
        if directory is None:
            self._scratch = _new_scratch()
            directory = self._scratch.path
        # Absolute, because the guest's current directory is another one.
        self.directory = directory.absolute()
        self._command = list(command)
        self._environment = dict(environment or {})
        self._cgroup = cgroup
        self._shared = [*map(os.path.abspath, shared), *_own_directories()]
        self._parameters = list(parameters)
        self._network: Network = network
        self._slirp = ""
        self._echo = echo
        self._process: subprocess.Popen[str] | None = None
        self._console: int | None = None
        self._ending: str | None = None

    @property
    def socket(self) -> Path:
        return self.directory / SOCKET_NAME

    @property
    def address(self) -> str:
        return f"hvsock://{self.socket}:{AGENT_PORT}"

    @property
    def pid(self) -> int:
        """The supervisor's pid. SIGTERM to it ends the guest and removes all of it."""
        if self._process is None:
            raise GuestError(f"local guest {self.directory}: not started")
        return self._process.pid

    def start(self) -> None:
        self._check()
        try:
            with INTERRUPTION.uninterrupted():
                self._process = _spawn_supervisor(self._prepare())
            line = self._read_status()
        except OSError as error:
            self.stop()
            raise GuestError(f"local guest {self.directory}: {error}") from error
        except BaseException:
            self.stop()
            raise
        if line != "ready":
            self.stop()
            reason = line.partition(": ")[2] or "supervisor was killed"
            raise GuestError(reason)

    def _prepare(self) -> LocalSettings:
        """Make the guest's directory and the files in it. Raises `OSError`."""
        if self._scratch is None:
            self.directory.mkdir(mode=0o700, exist_ok=True)
        else:
            self._scratch.make()
        console = self.directory / CONSOLE_NAME
        flags = os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC
        self._console = os.open(console, flags, 0o600)
        cmdline = self.directory / CMDLINE_NAME
        cmdline.write_text(" ".join(self._parameters) + "\n")
        return LocalSettings(
            directory=os.fspath(self.directory),
            socket_path=os.fspath(self.socket),
            command=self._command,
            environment=self._agent_environment(),
            cgroup=self._cgroup,
            shared=self._shared,
            console=None if self._echo else os.fspath(console),
            cmdline=os.fspath(cmdline),
            slirp=self._slirp,
        )

    def give_up(self) -> None:
        if (process := self._process) is not None:
            process.terminate()

    def ending(self, timeout: float = 0) -> str | None:
        """Return how the guest ended; wait for its end for up to `timeout` seconds."""
        if self._process is None:
            return self._ending
        if self._ending is None:
            assert self._process.stdout is not None
            if not select.select([self._process.stdout], [], [], timeout)[0]:
                return None
            line = self._read_status()
            self._ending = line.partition(": ")[2] or "supervisor was killed"
        return self._ending

    def console_tail(self, lines: int = 20) -> Sequence[str]:
        if self._console is None:
            return []
        return last_lines(self._console, lines)

    def stop(self) -> None:
        with INTERRUPTION.uninterrupted():
            self._stop_supervisor()
            if self._console is not None:
                os.close(self._console)
                self._console = None
            if self._scratch is not None:
                self._scratch.remove()

    def _stop_supervisor(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.close()
        try:
            process.wait(STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()
        if process.returncode < 0:
            self._clean_up()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.stop()

    def _check(self) -> None:
        name = f"local guest {self.directory}"
        if self._process is not None:
            raise GuestError(f"{name}: already started")
        if os.geteuid() != 0:
            raise GuestError(f"{name}: root is needed for namespaces and mounts")
        if len(os.fsencode(self.socket)) > SOCKET_PATH_LIMIT:
            raise GuestError(f"{name}: path too long for a unix socket")
        if fault := missing(self._runtime(), path=self._agent_environment()["PATH"]):
            raise GuestError(f"{name}: {fault}")
        if self._network == "user":
            self._slirp = _find_slirp()

    def _runtime(self) -> str:
        """Return the program that the agent will run containers by."""
        given = [word for word in self._parameters if word.startswith(_RUNTIME_OPTION)]
        return given[-1].removeprefix(_RUNTIME_OPTION) if given else "crun"

    def _agent_environment(self) -> dict[str, str]:
        return {
            "PATH": PATH,
            "PYTHONPATH": os.fspath(PACKAGES),
            "KATA_AGENT_SERVER_ADDR": f"unix://{self.socket}.d/{AGENT_PORT}",
            "KATA_AGENT_LOCAL_SOCKET": os.fspath(self.socket),
            **self._environment,
        }

    def _read_status(self) -> str:
        assert self._process is not None
        assert self._process.stdout is not None
        return self._process.stdout.readline().rstrip("\n")

    def _clean_up(self) -> None:
        """Clean up in place of a supervisor that was killed."""
        from kata_host.guest.local_supervisor import remove_tree

        remove_tree(os.fspath(self.directory))
        sweep()


def sweep() -> None:
    """Remove the cgroups of local guests whose supervisor was killed.

    Does nothing for other users than root, because only root starts local guests.
    """
    if os.geteuid() == 0:
        subprocess.run(_supervisor_command(), check=False)


def _find_slirp() -> str:
    """Return the path of slirp4netns. Raises `GuestError`."""
    from kata_host.guest.slirp import PROGRAM

    program = shutil.which(PROGRAM)
    if program is None:
        raise GuestError(
            f"{PROGRAM}: not found (package {PROGRAM}), and needed for the network "
            "'user' of a local guest"
        )
    return os.path.abspath(program)


def _own_directories() -> list[str]:
    """Return the directories of the interpreter and of the agent's packages.

    They may be below a directory that the guest has for itself.
    """
    packages = (os.path.realpath(PACKAGES / name) for name in AGENT_PACKAGES)
    directories = [sys.base_prefix, sys.prefix, os.fspath(PACKAGES), *packages]
    return [directory for directory in directories if os.path.isdir(directory)]


def _new_scratch() -> Scratch:
    """Return a directory whose path addresses and options of overlayfs can hold."""
    scratch = Scratch("local")
    path = os.fsencode(scratch.path / SOCKET_NAME)
    fits = len(path) <= SOCKET_PATH_LIMIT and _HOLDABLE.fullmatch(path)
    return scratch if fits else Scratch("local", Path("/tmp"))


def _supervisor_command() -> list[str]:
    # Without site-packages and the user's environment, which cost milliseconds.
    script = _SUPERVISOR.format(root=os.fspath(PACKAGES))
    return [sys.executable, "-I", "-S", "-c", script]


def _spawn_supervisor(settings: LocalSettings) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*_supervisor_command(), json.dumps(settings._asdict())],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        # A Ctrl-C at the terminal must reach the host process only.
        start_new_session=True,
    )
