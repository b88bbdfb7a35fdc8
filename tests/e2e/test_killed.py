# SPDX-License-Identifier: Apache-2.0
"""Nothing is left of a program that is killed at any moment, after the next command.

`tests/helpers/killed_at.py` kills a program right before a change of the system, so
every change is a moment. The tests take some moments of each program, spread over its
life; with KILLED_AT=all in the environment they take all, which takes minutes.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

import pytest

from kata_host.guest.local_cgroup import PREFIX
from tests.e2e.conftest import Ctl, environment_of_guests, traces_of, wait_until
from tests.helpers.host_program import require_program
from tests.helpers.saved_images import directory, docker_archive, entry, symlink, tar_of
from tests.helpers.source_tree import ROOT
from tests.helpers.vm import require_image

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

KILLED_AT: Final = ROOT / "tests/helpers/killed_at.py"
CTL: Final = "kata_host.ctl"
MOMENTS: Final = 1000
"""More than any program has."""
SDK: Final = """
import asyncio
from kata_host import Guest, Pool

async def main():
    async with Guest.local() as guest, guest.container() as box:
        await box.files.write("/x", "y")
        async with box.start(["cat"]) as process, box.forward(80):
            await process.write("hello\\n")
            await process.read_until("\\n")
    async with Pool(2, Guest.local) as pool:
        await asyncio.gather(*(pool.run(["true"]) for _ in range(3)))

asyncio.run(main())
"""
SDK_OF_ANOTHER: Final = """
import asyncio
from kata_host import Guest

async def main():
    async with Guest.connect("one") as guest:
        async with guest.container() as box:
            await box.files.write("/x", "y")
            await guest.files.list("/")
            await guest.run(["true"])

asyncio.run(main())
"""
SDK_OF_VMS: Final = """
import asyncio, sys
from kata_host import Guest

async def main():
    async with Guest.vm(warm=True) as guest:
        async with guest.container(volumes={"/v": sys.argv[1]}) as box:
            await box.files.write("/v/x", "y")
            async with box.start(["cat"]) as process, box.forward(80):
                await process.write("hello\\n")
                await process.read_until("\\n")

asyncio.run(main())
"""

Kill = Callable[..., None]


@pytest.fixture
def environment(scratch: Path, tmp_path: Path) -> Iterator[dict[str, str]]:
    with environment_of_guests(scratch) as environment:
        yield {**environment, "KATA_IMAGE_STORE": str(tmp_path / "store")}


@pytest.fixture
def kill(ctl: Ctl, environment: dict[str, str], scratch: Path, tmp_path: Path) -> Kill:
    """Return a function that kills a program at moments, from the first to its end.

    With `only`, at these, so that the test need not wait for the end. After each of
    them, `next_commands` run. All is as it was before then, or soon, because what the
    kernel kills takes a moment to go.
    """

    def state() -> set[str]:
        found = set(traces_of(scratch)) - {str(scratch / "run")}
        for top in (scratch, tmp_path / "store"):
            found |= {str(path) for path in top.rglob("*")}
        return found | processes_in_guests(scratch) | cgroups_without_guest()

    def kill(
        program: Sequence[str],
        *next_commands: Sequence[str],
        step: int = 1,
        only: Sequence[int] = (),
    ) -> None:
        for words in next_commands:
            ctl(*words)
        before = state()
        if os.environ.get("KILLED_AT") == "all":
            step, only = 1, ()
        for moment in only or range(0, MOMENTS, step):
            ran = subprocess.run(
                [sys.executable, "-P", KILLED_AT, str(moment), *program],
                env=environment,
                stdin=subprocess.DEVNULL,
                capture_output=True,
            )
            for words in next_commands:
                ctl(*words)
            try:
                wait_until(lambda: state() <= before)
            except AssertionError:
                pytest.fail(f"moment {moment}: left: {sorted(state() - before)[:9]}")
            if ran.returncode != -9:
                assert ran.returncode == 0, ran.stderr
                assert moment, "the program makes no change"
                assert not only, f"the program has ended before moment {moment}"
                return

    return kill


def processes_in_guests(scratch: Path) -> set[str]:
    """Return the names of the processes below those of guests in `scratch`."""
    names, parents, guests = {}, {}, set()
    for path in Path("/proc").glob("[0-9]*"):
        try:
            name, _, rest = (path / "stat").read_text().rpartition(")")
            words = (path / "cmdline").read_bytes() + (path / "environ").read_bytes()
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue
        parents[path.name] = rest.split()[1]
        names[path.name] = name.partition("(")[2]
        if str(scratch).encode() in words:
            guests.add(path.name)
    found = set()
    for pid, name in names.items():
        above = pid
        while above in parents and above not in guests:
            above = parents[above]
        if above in guests:
            found.add(f"process {name}")
    return found


def cgroups_without_guest() -> set[str]:
    """Return the cgroups of local guests whose supervisor has ended."""
    return {
        name
        for _, names, _ in os.walk("/sys/fs/cgroup")
        for name in names
        if name.startswith(PREFIX) and not Path("/proc", name.split("-")[2]).exists()
    }


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """A saved image `demo:1` with a busybox, in two layers."""
    base = tar_of(
        *(directory(name) for name in ("bin", "dev", "proc", "srv", "sys", "tmp")),
        entry("bin/busybox", Path("/bin/busybox").read_bytes(), mode=0o755),
        symlink("bin/true", "busybox"),
    )
    top = tar_of(entry("srv/note", b"note"))
    return docker_archive(tmp_path / "a.tar", base, top, Cmd=["true"])


GUESTS: Final = ("guest", "list")
STOP: Final = ("guest", "stop", "--all")


def test_a_run_with_a_volume_and_a_port(kill: Kill, tmp_path: Path) -> None:
    words = ("run", "-v", f"{tmp_path}:/v", "-p", "0:80", "--", "true")
    kill([CTL, *words], GUESTS, step=37)


def test_a_run_on_a_network(kill: Kill) -> None:
    require_program("slirp4netns", "slirp4netns")
    kill([CTL, "run", "--network", "user", "--", "true"], GUESTS, step=83)


def test_images(kill: Kill, ctl: Ctl, image: Path) -> None:
    # The first one makes the folders of the store.
    assert ctl("image", "import", str(image)).returncode == 0
    remove = ("image", "rm", "demo:1")
    kill([CTL, "image", "import", str(image)], remove, step=5)
    kill([CTL, "run", "--image", str(image), "--", "true"], remove, step=79)


def test_a_start_of_a_guest(kill: Kill) -> None:
    kill([CTL, "guest", "start", "--name", "a"], GUESTS, STOP, step=7)


def test_a_detached_run(kill: Kill) -> None:
    words = ("run", "-d", "--name", "web", "--", "sleep", "1000")
    kill([CTL, *words], GUESTS, STOP, step=37)


def test_what_works_in_a_guest_that_stays(
    kill: Kill,
    ctl: Ctl,
    started: Callable[..., subprocess.Popen[bytes]],
    tmp_path: Path,
) -> None:
    assert ctl("guest", "start", "--name", "one").returncode == 0
    run = ("run", "--guest", "one", "--", "true")
    # The first one makes a folder.
    assert ctl(*run).returncode == 0
    kill([CTL, *run], GUESTS, step=59)

    detached = ("run", "-d", "--guest", "one", "--name", "box", "--")
    assert ctl(*detached, "tail", "-f", "/dev/null").returncode == 0
    assert ctl("exec", "box", "--", "true").returncode == 0
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / "file").write_bytes(bytes(1 << 20))
    kill([CTL, "cp", str(tree), "box:/"], GUESTS, step=19)
    kill([CTL, "cp", "box:/tree", str(tmp_path / "out")], GUESTS, step=19)

    before = ctl("top", "box", "--", "-o", "pid").stdout
    process = started(
        *("exec", "box", "--", "sh", "-c", "echo ready; exec sleep 1000"),
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    assert ctl("top", "box", "--", "-o", "pid").stdout != before
    process.kill()
    process.wait()
    assert ctl(*GUESTS).returncode == 0
    assert ctl("top", "box", "--", "-o", "pid").stdout == before


def test_a_program_of_the_sdk_in_a_guest_that_stays(
    kill: Kill, ctl: Ctl, tmp_path: Path
) -> None:
    assert ctl("guest", "start", "--name", "one").returncode == 0
    program = tmp_path / "program.py"
    program.write_text(SDK_OF_ANOTHER)
    # The first one makes a folder.
    assert ctl("run", "--guest", "one", "--", "true").returncode == 0
    kill([str(program)], GUESTS, step=17)


def test_a_program_of_the_sdk(kill: Kill, tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(SDK)
    kill([str(program)], GUESTS, step=149)


WARM: Final = ("--vm", "--warm")
"""A restored VM is ready earlier, and all the rest is the same."""


@pytest.fixture
def vm() -> None:
    require_image()


@pytest.mark.vm
@pytest.mark.usefixtures("vm")
class TestVm:
    """VMs. The moments of `only` are of the VM's start, and of its use."""

    def test_a_run_that_boots(self, kill: Kill) -> None:
        kill([CTL, "run", "--vm", "--", "true"], GUESTS, only=[8, 10])

    def test_a_run_with_a_volume_and_a_port(self, kill: Kill, tmp_path: Path) -> None:
        words = ("-v", f"{tmp_path}:/v", "-p", "0:80", "--", "true")
        kill([CTL, "run", *WARM, *words], GUESTS, only=[21])

    def test_a_start_of_a_guest(self, kill: Kill) -> None:
        words = ("guest", "start", "--vm", "--name", "a")
        kill([CTL, *words], GUESTS, STOP, only=[3])

    def test_a_detached_run_of_an_image(
        self, kill: Kill, ctl: Ctl, image: Path
    ) -> None:
        # The first one makes the folders of the store.
        assert ctl("image", "import", str(image)).returncode == 0
        words = ("run", "-d", *WARM, "--image", str(image), "--name", "web")
        kill([CTL, *words], GUESTS, STOP, ("image", "rm", "demo:1"), only=[20])

    def test_a_program_of_the_sdk(self, kill: Kill, tmp_path: Path) -> None:
        program = tmp_path / "program.py"
        program.write_text(SDK_OF_VMS)
        kill([str(program), str(tmp_path)], GUESTS, only=[21])
