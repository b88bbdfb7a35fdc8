# SPDX-License-Identifier: Apache-2.0
"""The networks of guests, in a network of the test's own that leads nowhere."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kata_agent.linux.beneath import opened
from kata_host.ctl.rootfs import make_busybox
from tests.e2e.conftest import (
    PATIENCE,
    Completed,
    environment_of_guests,
    wait_until,
)
from tests.helpers.command_line import CTL
from tests.helpers.outside_network import (
    ADDRESS,
    CONTENT,
    LOOPBACK_PORT,
    NAME,
    PORT,
    OutsideNetwork,
    outside_network,
    require_slirp,
)

FETCH = f"wget -qO- http://{NAME}:{PORT}/"
ALIASES = ["10.0.2.2", "10.0.2.3"]
"""What libslirp may take for addresses of the host."""
LOCAL = """
import asyncio
from kata_host import Guest

async def main():
    async with Guest.local(network="user") as guest:
        print((await guest.run(["cat", "/etc/resolv.conf"])).text, end="")
        async with guest.container() as box:
            words = ["/dev/busybox", "wget", "-qO-", "http://{name}:{port}/"]
            print((await box.run(words)).check().text)
    async with Guest.local() as guest:
        print((await guest.run(["ls", "/sys/class/net"])).text, end="")

asyncio.run(main())
"""
NAMED = """
from kata_host.sync import Guest

with Guest.connect("one") as guest, guest.container() as box:
    print(box.run(["/dev/busybox", "wget", "-qO-", "http://{name}:{port}/"]).text)
"""

LISTEN = """
import socket
server = socket.create_server(("0.0.0.0", {port}))
print("ready", flush=True)
while True:
    connection, _ = server.accept()
    print(connection.getsockname()[0], flush=True)
"""
"""Writes the address that each connection was made to."""
FRAME_PORT = 8082


@pytest.fixture
def outside(tmp_path: Path) -> Iterator[OutsideNetwork]:
    with outside_network(tmp_path) as network:
        yield network


@pytest.fixture
def environment(scratch: Path) -> Iterator[dict[str, str]]:
    with environment_of_guests(scratch) as environment:
        yield environment


@pytest.fixture
def inside(
    outside: OutsideNetwork, environment: dict[str, str]
) -> Callable[..., Completed]:
    """Return a function that runs a program in the network; nothing else is left."""

    def run(*words: str, **variables: str) -> Completed:
        return subprocess.run(
            outside.command(*words),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            env={**environment, **variables},
        )

    return run


@contextlib.contextmanager
def program_that_is_up(
    outside: OutsideNetwork, environment: dict[str, str]
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a container with the network, which has said that it runs."""
    words = [*CTL, "run", "--network", "user", "--", "sh", "-c", "echo up; sleep 999"]
    with subprocess.Popen(
        outside.command(*words),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment,
    ) as program:
        try:
            assert program.stdout is not None
            assert program.stdout.readline() == b"up\n"
            yield program
        finally:
            program.terminate()


@contextlib.contextmanager
def connections(outside: OutsideNetwork) -> Iterator[Iterator[str]]:
    """Listen at `FRAME_PORT` of every address; yield those that are connected to."""
    with subprocess.Popen(
        outside.command(sys.executable, "-c", LISTEN.format(port=FRAME_PORT)),
        stdout=subprocess.PIPE,
        text=True,
    ) as listener:
        try:
            assert listener.stdout is not None
            assert listener.stdout.readline() == "ready\n"
            yield (line.strip() for line in listener.stdout)
        finally:
            listener.kill()


def slirp_of(outside: OutsideNetwork) -> int:
    (pid,) = [
        pid
        for pid in outside.processes()
        if Path(f"/proc/{pid}/comm").read_text() == "slirp4netns\n"
    ]
    return pid


def test_a_container_reaches_by_name_what_the_host_reaches(
    outside: OutsideNetwork, inside: Callable[..., Completed]
) -> None:
    require_slirp()
    # The loopback of this host is its own.
    hidden = [f"wget -qO- http://{name}:{LOOPBACK_PORT}" for name in ALIASES]
    script = "; ".join(["cat /etc/resolv.conf", FETCH, *hidden])
    options = ["--read-only", "--cap-drop", "ALL", "-u", "65534"]
    words = ["--network", "user", *options, "--", "sh", "-c", script]
    done = inside(*CTL, "run", *words)
    assert done.stdout == f"nameserver 10.0.2.3\n{CONTENT}"
    assert done.returncode == 1
    assert all(name in done.stderr for name in ALIASES)
    assert not outside.processes()


def test_no_raw_frame_reaches_the_loopback_of_the_host(
    outside: OutsideNetwork, environment: dict[str, str]
) -> None:
    require_slirp()
    with (
        program_that_is_up(outside, environment),
        connections(outside) as reached,
    ):
        command = Path(f"/proc/{slirp_of(outside)}/cmdline").read_bytes().split(b"\0")
        (namespace,) = [each for each in command if each.endswith(b"/ns/net")]
        # As root of the guest, who can do what any of its containers can.
        guest = ["nsenter", f"--net={namespace.decode()}", sys.executable]
        for address in ["127.0.0.1", "127.8.8.8", "0.0.0.0", ADDRESS]:
            frame = ["eth0", "10.0.2.15", address, str(FRAME_PORT)]
            send = [*guest, "-m", "tests.helpers.raw_frames", *frame]
            assert subprocess.run(send).returncode == 0
        # The last one shows that frames arrive at all, and those before it did not.
        assert next(reached) == ADDRESS


def test_a_container_has_its_loopback_alone_by_default(
    inside: Callable[..., Completed],
) -> None:
    script = f"ls /sys/class/net; wget -qO- http://{ADDRESS}:{PORT}/"
    done = inside(*CTL, "run", "--", "sh", "-c", script)
    assert done.stdout == "lo\n"
    assert "Network is unreachable" in done.stderr


def test_a_guest_that_stays_has_the_network_that_it_was_started_with(
    outside: OutsideNetwork, inside: Callable[..., Completed], tmp_path: Path
) -> None:
    require_slirp()
    # As distributions with systemd-resolved have it.
    rootfs = make_busybox(tmp_path / "rootfs")
    (rootfs / "etc").mkdir(exist_ok=True)
    link = rootfs / "etc/resolv.conf"
    link.symlink_to("../run/systemd/resolve/stub-resolv.conf")
    start = [*CTL, "guest", "start", "--name", "one", "--network", "user"]
    assert inside(*start).returncode == 0
    listed = json.loads(inside(*CTL, "guest", "list", "--json").stdout)
    assert listed["network"] == "user"
    run = [*CTL, "run", "--guest", "one"]
    fetched = inside(*run, "--rootfs", str(rootfs), "--", "sh", "-c", FETCH)
    assert fetched.stdout == CONTENT, fetched.stderr
    assert inside(*run, "-d", "--name", "web", "--", "sleep", "999").returncode == 0
    assert inside(*CTL, "exec", "web", "--", "sh", "-c", FETCH).stdout == CONTENT
    python = [*CTL[:1], "-c", NAMED.format(name=NAME, port=PORT)]
    assert inside(*python).stdout == f"{CONTENT}\n"
    refused = inside(*run, "--network", "user", "--", "true")
    assert refused.returncode == 125
    assert "--network: the network is the guest's" in refused.stderr
    assert inside(*CTL, "rm", "-f", "web").returncode == 0
    assert inside(*CTL, "guest", "stop", "one").returncode == 0
    wait_until(lambda: not outside.processes())


def test_a_detached_container_has_a_guest_with_its_network(
    outside: OutsideNetwork, inside: Callable[..., Completed]
) -> None:
    require_slirp()
    options = ["-d", "--name", "web", "--network", "user"]
    assert inside(*CTL, "run", *options, "--", "sleep", "999").returncode == 0
    assert inside(*CTL, "exec", "web", "--", "sh", "-c", FETCH).stdout == CONTENT
    assert inside(*CTL, "rm", "-f", "web").returncode == 0
    wait_until(lambda: not outside.processes())


def test_a_program_has_a_guest_with_a_network(
    outside: OutsideNetwork, inside: Callable[..., Completed]
) -> None:
    require_slirp()
    done = inside(*CTL[:1], "-c", LOCAL.format(name=NAME, port=PORT))
    assert done.stdout == f"nameserver 10.0.2.3\n{CONTENT}\nlo\n", done.stderr
    assert not outside.processes()


@pytest.mark.parametrize("victim", ["program", "supervisor"])
def test_nothing_is_left_of_a_killed_guest_and_its_network(
    outside: OutsideNetwork,
    inside: Callable[..., Completed],
    environment: dict[str, str],
    victim: str,
) -> None:
    require_slirp()
    with program_that_is_up(outside, environment) as program:
        slirp = slirp_of(outside)
        status = Path(f"/proc/{slirp}/status").read_text().splitlines()
        (parent,) = [int(line.split()[1]) for line in status if "PPid:" in line]
        with opened(os.pidfd_open(slirp)) as watched:
            os.kill(program.pid if victim == "program" else parent, signal.SIGKILL)
            # No command is needed for it: the kernel ends it with the guest. It may
            # stay a zombie, of this process if that has become a subreaper.
            assert select.select([watched], [], [], PATIENCE)[0]
    assert inside(*CTL, "guest", "list").returncode == 0
    wait_until(lambda: not outside.processes())


def test_the_end_of_the_network_is_told_as_the_end_of_the_guest(
    outside: OutsideNetwork, environment: dict[str, str]
) -> None:
    require_slirp()
    with program_that_is_up(outside, environment) as program:
        os.kill(slirp_of(outside), signal.SIGTERM)
        _, errors = program.communicate(timeout=PATIENCE)
        assert program.returncode == 125
    assert b"guest ended: slirp4netns: SIGTERM" in errors


def test_a_host_without_slirp4netns_says_which_package_is_missing(
    inside: Callable[..., Completed],
) -> None:
    done = inside(
        "env", "PATH=/nowhere", *CTL, "run", "--network", "user", "--", "true"
    )
    assert done.returncode == 125
    assert done.stderr == (
        "kata-agent-ctl: slirp4netns: not found (package slirp4netns), and needed for "
        "the network 'user' of a local guest\n"
    )


def test_a_slirp4netns_that_fails_is_one_line(
    inside: Callable[..., Completed], tmp_path: Path
) -> None:
    program = tmp_path / "slirp4netns"
    program.write_text("#!/bin/sh\necho begun; echo no tun device >&2\nexit 3\n")
    program.chmod(0o755)
    path = f"{tmp_path}:{os.environ['PATH']}"
    done = inside(*CTL, "run", "--network", "user", "--", "true", PATH=path)
    assert done.returncode == 125
    assert done.stderr == (
        "kata-agent-ctl: local guest: slirp4netns: exit status 3: no tun device\n"
    )
