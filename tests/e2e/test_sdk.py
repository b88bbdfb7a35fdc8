# SPDX-License-Identifier: Apache-2.0
"""The SDK with local guests: commands, their limits and their ends."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from kata_host import Guest, Limits
from kata_host.ctl.rootfs import make_busybox
from kata_host.errors import (
    CannotExecute,
    GuestEnded,
    NotFound,
    OutOfMemory,
    TimedOut,
)
from kata_host.guest.local_guest import LocalGuest, sweep
from kata_host.image.store_directory import VARIABLE
from tests.helpers.saved_images import OciLayout, entry, tar_of

HOLD = """
import asyncio
from kata_host import Guest

async def main():
    async with Guest.local() as guest:
        print("started", flush=True)
        await guest.run(["sleep", "1000"])

asyncio.run(main())
"""


@pytest.fixture(autouse=True)
def _temporary(scratch: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Guests and what they leave are below the directory that is looked at."""
    monkeypatch.setenv("TMPDIR", str(scratch))


@pytest.fixture
async def sandbox() -> AsyncIterator[Guest]:
    async with Guest.local() as guest:
        yield guest


async def test_the_guests_own_root_is_the_default_and_is_not_changed(
    sandbox: Guest,
) -> None:
    name = f"/sdk-{os.urandom(4).hex()}"
    result = await sandbox.run(["sh", "-c", f"touch {name}; ls {name}; echo e >&2"])
    assert (result.check().text, result.stderr) == (f"{name}\n", b"e\n")
    assert not Path(name).exists()


async def test_a_command_has_what_is_asked_for(sandbox: Guest) -> None:
    script = 'cat; cat main.txt /etc/own; id -u; id -g; echo "$A"; pwd; exit 3'
    result = await sandbox.run(
        ["sh", "-c", script],
        files={"main.txt": "one\n", "/etc/own": b"two\n"},
        env={"A": "b c"},
        cwd="/opt/work",
        user=65534,
        input="in\n",
        timeout="1m",
    )
    words = "in\none\ntwo\n65534\n65534\nb c\n/opt/work\n"
    assert (result.status, result.text) == (3, words)


async def test_the_owner_of_files_is_the_user_who_may_write_them(
    sandbox: Guest,
) -> None:
    script = "echo more >> /w/a && cat /w/a && stat -c '%u %g %a' /w/a /w"
    result = await sandbox.run(["sh", "-c", script], files={"/w/a": "a\n"}, user=(7, 8))
    assert result.text.splitlines() == ["a", "more", "7 8 644", "7 8 755"]


@pytest.mark.parametrize("is_archive", [False, True])
async def test_a_directory_and_an_archive_are_root_file_systems(
    sandbox: Guest, tmp_path: Path, is_archive: bool
) -> None:
    image = make_busybox(tmp_path / "root")
    (image / "mine").write_text("mine\n")
    if is_archive:
        archive = tmp_path / "root.tar"
        subprocess.run(["tar", "-cf", archive, "-C", image, "."], check=True)
        image = archive
    results = await asyncio.gather(
        sandbox.run(["sh", "-c", "cat /mine; rm /mine"], image=image),
        sandbox.run(["cat", "/mine"], image=image, user="nobody"),
    )
    assert [result.check().text for result in results] == ["mine\n"] * 2


async def test_a_saved_image_says_how_its_processes_run(
    sandbox: Guest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path / "store"))
    root = make_busybox(tmp_path / "root")
    subprocess.run(["tar", "-cf", tmp_path / "tar", "-C", root, "."], check=True)
    layout = OciLayout(tmp_path / "layout")
    layers = [(tmp_path / "tar").read_bytes(), tar_of(entry("mine", b"mine\n"))]
    values = {"Env": ["A=1"], "User": "nobody", "WorkingDir": "/tmp"}
    saved = layout.index(layout.image(*layers, **values)).parent / "image.tar"
    layout.archive(saved)
    script = "cat /mine in; echo $A; id -un; pwd"
    result = await sandbox.run(["sh", "-c", script], image=saved, files={"in": "in\n"})
    assert result.check().text == "mine\nin\n1\nnobody\n/tmp\n"


async def test_an_image_may_have_many_layers(
    sandbox: Guest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their directories' names are together longer than a page."""
    monkeypatch.setenv(VARIABLE, str(tmp_path / "store"))
    root = make_busybox(tmp_path / "root")
    subprocess.run(["tar", "-cf", tmp_path / "tar", "-C", root, "."], check=True)
    layout = OciLayout(tmp_path / "layout")
    added = [tar_of(entry(f"m/{n}"), entry("top", b"%d" % n)) for n in range(60)]
    image = layout.image((tmp_path / "tar").read_bytes(), *added)
    saved = layout.index(image).parent / "image.tar"
    layout.archive(saved)
    script = "ls /m | wc -l; cat /top"
    result = await sandbox.run(["sh", "-c", script], image=saved)
    assert result.check().text == "60\n59"


async def test_a_command_that_takes_too_long_is_killed_and_its_output_kept(
    sandbox: Guest,
) -> None:
    script = "echo out; echo err >&2; trap '' TERM; while :; do sleep 1; done"
    with pytest.raises(TimedOut, match="'sh': not ended after") as raised:
        # Long enough for its words on a busy machine, and never reached otherwise.
        await sandbox.run(["sh", "-c", script], timeout=10)
    assert (raised.value.stdout, raised.value.stderr) == (b"out\n", b"err\n")
    assert (await sandbox.run(["true"])).status == 0


async def test_a_command_that_uses_too_much_memory_is_told_so(sandbox: Guest) -> None:
    limits = Limits(memory="64m", pids=64)
    result = await sandbox.run(["tail", "/dev/zero"], limits=limits)
    assert (result.status, result.oom_killed) == (137, True)
    with pytest.raises(OutOfMemory, match="out of memory"):
        result.check()
    assert not (await sandbox.run(["sh", "-c", "exit 137"], limits=limits)).oom_killed


async def test_output_beyond_the_limit_is_dropped_and_the_command_goes_on(
    sandbox: Guest,
) -> None:
    script = "yes | head -c 3000000; echo e >&2; exit 4"
    result = await sandbox.run(["sh", "-c", script], output_limit="1m")
    assert (len(result.stdout), result.stderr) == (1 << 20, b"e\n")
    assert (result.status, result.is_cut) == (4, True)


async def test_a_command_that_cannot_be_run_says_why(sandbox: Guest) -> None:
    with pytest.raises(NotFound, match="no-such-command"):
        await sandbox.run(["no-such-command"])
    with pytest.raises(CannotExecute):
        await sandbox.run(["/etc/passwd"])
    with pytest.raises(NotFound, match="image '/nowhere'"):
        await sandbox.run(["true"], image="/nowhere")


async def test_a_guest_that_ends_is_told_by_what_runs_in_it(scratch: Path) -> None:
    mark = f"1000.{os.getpid()}"
    async with Guest.local() as guest:
        running = asyncio.create_task(guest.run(["sleep", mark]))
        await process_with(b"sleep", mark.encode())
        supervisor = await process_with(b"socket_path", str(scratch).encode())
        os.kill(supervisor, signal.SIGKILL)
        with pytest.raises(GuestEnded, match="guest: supervisor was killed"):
            await running
        with pytest.raises(GuestEnded):
            await guest.run(["true"])


async def process_with(*words: bytes) -> int:
    """Wait for a process whose command line has all words; return its pid."""
    while True:
        for process in Path("/proc").glob("[0-9]*"):
            try:
                command = (process / "cmdline").read_bytes()
            except (FileNotFoundError, ProcessLookupError):
                continue
            if all(word in command for word in words):
                return int(process.name)
        await asyncio.sleep(0.01)


async def test_a_guest_that_runs_is_connected_to_and_stays(guest: LocalGuest) -> None:
    for _ in range(2):
        async with Guest.connect(guest.address) as connected:
            assert (await connected.run(["echo", "hi"])).text == "hi\n"


def test_guests_are_used_from_any_thread() -> None:
    texts = []

    async def use() -> None:
        async with Guest.local() as guest:
            texts.append((await guest.run(["echo", "hi"])).text)

    threads = [threading.Thread(target=lambda: asyncio.run(use())) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert texts == ["hi\n"] * 2


async def test_a_start_that_is_cancelled_leaves_nothing(scratch: Path) -> None:
    starting = asyncio.create_task(Guest.local().start())
    while not list(scratch.iterdir()):
        await asyncio.sleep(0.001)
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    assert not list(scratch.iterdir())


@pytest.mark.parametrize("moment", ["starting", "running"])
def test_nothing_is_left_of_a_program_that_is_killed(
    scratch: Path, moment: str
) -> None:
    with subprocess.Popen([sys.executable, "-c", HOLD], stdout=subprocess.PIPE) as user:
        assert user.stdout is not None
        if moment == "running":
            user.stdout.readline()
        else:
            while not list(scratch.iterdir()):
                assert user.poll() is None
        user.send_signal(signal.SIGKILL)

    # The next start removes what is left.
    async def start() -> None:
        async with Guest.local():
            pass

    asyncio.run(start())
    sweep()
    assert not list(scratch.iterdir())
