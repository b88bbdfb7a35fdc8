# SPDX-License-Identifier: Apache-2.0
"""Containers of the SDK that stay: their commands, processes and files."""

from __future__ import annotations

import asyncio
import hashlib
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from kata_host import Guest, Limits
from kata_host.errors import FileError, GuestEnded, NotFound, TimedOut
from kata_host.sdk.box import Box

MEBIBYTE = 1 << 20
DONE = (None, None, None)


@pytest.fixture
async def local(scratch: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Guest]:
    monkeypatch.setenv("TMPDIR", str(scratch))
    async with Guest.local() as guest:
        yield guest


@pytest.fixture
async def box(local: Guest) -> AsyncIterator[Box]:
    async with local.container(limits=Limits(memory="300m")) as box:
        yield box


async def test_commands_share_the_files_of_the_box(local: Guest) -> None:
    async with local.container(env={"A": "1"}, cwd="/opt", user=7) as box:
        await box.run(["sh", "-c", "echo one > /tmp/f"])
        script = 'cat /tmp/f; pwd; id -u; echo "$A$B"'
        result = await box.run(["sh", "-c", script], env={"B": "2"})
        assert result.text == "one\n/opt\n7\n12\n"
    assert (await local.run(["cat", "/tmp/f"])).status != 0


async def test_a_box_needs_nothing_of_its_image(local: Guest, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    async with local.container(image=empty) as box:
        await box.files.write("/a/b", "text")
        assert await box.files.read("/a/b") == b"text"
        with pytest.raises(NotFound, match="'?ls'?"):
            await box.run(["ls"])


async def test_orphans_in_a_box_are_reaped(box: Box) -> None:
    script = 'sh -c "sleep 0.01 & :"; while kill -0 $! 2>/dev/null; do :; done; :'
    await box.run(["sh", "-c", f"for i in 1 2 3 4 5; do {script}; done"])
    count = "grep -l '^State:.Z' /proc/[0-9]*/status; :"
    for _ in range(1000):
        if not (await box.run(["sh", "-c", count])).stdout:
            return
    raise AssertionError("zombies stay")


async def test_a_volume_is_a_folder_of_the_host(local: Guest, tmp_path: Path) -> None:
    (tmp_path / "in").write_text("in\n")
    volumes = {"/rw": tmp_path, "/ro": f"{tmp_path}:ro"}
    script = "cat /ro/in; echo out > /rw/out; echo bad > /ro/bad"
    result = await local.run(["sh", "-c", script], volumes=volumes)
    assert result.stdout == b"in\n"
    assert b"Read-only file system" in result.stderr
    assert sorted(it.name for it in tmp_path.iterdir()) == ["in", "out"]
    async with local.container(volumes=volumes) as box:
        assert await box.files.read("/rw/out") == b"out\n"


async def test_a_process_on_a_terminal_is_talked_to(box: Box) -> None:
    async with box.start(["python3", "-q"], tty=(24, 80)) as process:
        await process.read_until(">>> ")
        await process.write("import os; os.get_terminal_size(0)\n")
        assert b"columns=80, lines=24" in await process.read_until(">>> ")
        await process.resize(30, 100)
        await process.write("os.get_terminal_size(0)\n")
        assert b"columns=100" in await process.read_until("lines=30")
        await process.write("exit(3)\n")
        assert await process.wait() == 3


async def test_a_process_has_streams_signals_and_an_end(box: Box) -> None:
    script = (
        "trap 'echo got >&2; exit 4' TERM; echo ready; while :; do sleep 0.01; done"
    )
    async with box.start(["sh", "-c", script]) as process:
        assert await process.read_until("\n") == b"ready\n"
        await process.signal(signal.SIGTERM)
        assert await process.stderr.read_until(b"\n") == b"got\n"
        assert await process.wait() == 4
    async with box.start(["cat"]) as process:
        await process.write(b"x" * MEBIBYTE)
        await process.close_stdin()
        assert len(b"".join([data async for data in process])) == MEBIBYTE


async def test_output_that_nobody_reads_holds_up_no_process(box: Box) -> None:
    script = "head -c 16000000 /dev/zero >&2; head -c 16000000 /dev/zero; exit 5"
    async with box.start(["sh", "-c", script]) as process:
        assert await process.wait() == 5


async def test_input_is_written_to_its_end_though_the_outputs_are_closed(
    box: Box,
) -> None:
    script = "exec >/in 2>&1; read start; cat"
    content = bytes(4 * MEBIBYTE)
    result = await box.run(["sh", "-c", script], input=b"now\n" + content)
    assert (result.status, result.stdout) == (0, b"")
    assert await box.files.read("/in") == content


async def test_a_process_is_killed_at_the_end_of_its_block(box: Box) -> None:
    async with box.start(["sleep", "4321"]):
        pass
    listed = await box.run(["/dev/busybox", "ps", "-o", "args"])
    assert "4321" not in listed.text


async def test_a_command_that_takes_too_long_is_killed_alone(box: Box) -> None:
    with pytest.raises(TimedOut):
        await box.run(["sleep", "4321"], timeout=2)
    assert "4321" not in (await box.run(["/dev/busybox", "ps", "-o", "args"])).text


async def test_a_kill_for_memory_is_told_of_the_command_that_had_it(box: Box) -> None:
    assert (await box.run(["tail", "/dev/zero"])).oom_killed
    assert not (await box.run(["true"])).oom_killed


async def test_files_are_written_listed_and_removed(box: Box) -> None:
    files = box.files
    await files.write("/w/d/a b\nc", "text", mode=0o600, user=7)
    await files.write("/w/e", bytes(MEBIBYTE))
    info = await files.stat("/w/d/a b\nc")
    assert (info.name, info.size, oct(info.mode)) == ("a b\nc", 4, "0o100600")
    assert (info.uid, info.gid) == (7, 7)
    assert [(it.name, it.is_dir) for it in await files.list("/w")] == [
        ("d", True),
        ("e", False),
    ]
    assert await files.list("/w/d") == [info]
    assert await files.read("/w/e") == bytes(MEBIBYTE)
    await files.remove("/w")
    for missing in (files.remove, files.list, files.stat, files.read):
        with pytest.raises(NotFound, match="file '/w': No such file"):
            await missing("/w")
    with pytest.raises(FileError, match="file '/etc': .*directory"):
        await files.read("/etc")
    with pytest.raises(FileError, match="file '/etc': .*directory"):
        await files.write("/etc", "")


async def test_a_file_without_an_end_is_not_read_into_memory(box: Box) -> None:
    (await box.run(["ln", "-s", "/dev/zero", "/out"])).check()
    with pytest.raises(FileError, match="file '/out': more than 1048576 bytes"):
        await box.files.read("/out", limit="1m")
    await box.files.write("/five", "12345")
    assert await box.files.read("/five", limit=5) == b"12345"
    with pytest.raises(FileError, match="file '/five': more than 4 bytes"):
        await box.files.read("/five", limit=4)


async def test_a_tree_goes_in_and_comes_back(box: Box, tmp_path: Path) -> None:
    source = tmp_path / "source"
    (source / "d").mkdir(parents=True)
    (source / "d" / "run").write_text("#!/bin/sh\n")
    (source / "d" / "run").chmod(0o750)
    (source / "link").symlink_to("d/run")
    os.utime(source / "d" / "run", (1000, 2000))
    counts: list[int] = []
    await box.files.upload(source, "/in/tree", user=7, progress=counts.append)
    info = await box.files.stat("/in/tree/d/run")
    assert (info.uid, oct(info.mode), info.modified) == (7, "0o100750", 2000)
    assert counts == sorted(counts)
    assert counts
    await box.files.download("/in/tree", tmp_path / "back")
    back = tmp_path / "back" / "d" / "run"
    assert (back.read_text(), oct(back.stat().st_mode)) == ("#!/bin/sh\n", "0o100750")
    assert (tmp_path / "back" / "link").readlink() == Path("d/run")


async def test_a_big_file_goes_in_and_comes_back_unchanged(
    box: Box, tmp_path: Path
) -> None:
    """In a box whose memory holds it; the SDK keeps no more than a chunk."""
    source, back = tmp_path / "source", tmp_path / "back"
    source.write_bytes(os.urandom(MEBIBYTE) * 16)
    counts: list[int] = []
    await box.files.upload(source, "/big", progress=counts.append)
    assert counts[-1] == 16 * MEBIBYTE
    await box.files.download("/big", back)
    digests = [hashlib.sha256(it.read_bytes()).digest() for it in (source, back)]
    assert digests[0] == digests[1]


@pytest.mark.parametrize("is_tree", [False, True])
async def test_a_copy_that_is_cancelled_leaves_nothing(
    box: Box, tmp_path: Path, is_tree: bool
) -> None:
    source = tmp_path / "source" / "file"
    source.parent.mkdir()
    source.touch()
    os.truncate(source, 1 << 40)
    script = "mkdir -p /from /to; /dev/busybox truncate -s 999G /from/file"
    (await box.run(["sh", "-c", script])).check()
    out = tmp_path / "out"
    out.mkdir()
    begun = asyncio.Event()

    def progress(count: int) -> None:
        begun.set()

    origin, place = (source.parent, "/from") if is_tree else (source, "/from/file")
    for copy in (
        box.files.upload(origin, "/to/new", progress=progress),
        box.files.download(place, out / "new", progress=progress),
    ):
        begun.clear()
        copying = asyncio.create_task(copy)
        await begun.wait()
        copying.cancel()
        await asyncio.wait([copying])
        assert copying.cancelled()
        assert await box.files.list("/to") == []
        assert os.listdir(out) == []


async def test_a_file_is_replaced_as_a_whole_or_not_at_all(
    box: Box, tmp_path: Path
) -> None:
    files = box.files
    (await box.run(["sh", "-c", "echo old >/f; ln -s f /link; mkfifo /fifo"])).check()
    await files.write("/link", "new")
    assert (await box.run(["cat", "/f"])).text == "new"
    with pytest.raises(FileError, match="No space left"):
        await files.write("/dev/shm/f", bytes(65 * MEBIBYTE))
    assert await files.list("/dev/shm") == []
    for use in (files.read("/fifo"), files.write("/fifo", "x")):
        with pytest.raises(FileError, match="fifo|regular file"):
            await use
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(FileError, match="not a regular file"):
        await files.upload(tmp_path / "fifo", "/f")
    assert await files.read("/f") == b"new"


async def test_a_hostile_tree_stays_in_its_folder(box: Box, tmp_path: Path) -> None:
    script = """
    mkdir -p /t/sub && ln -s /tmp/outside /t/link && ln -s ../x /t/sub/in
    touch /t/x && mknod /t/null c 1 3
    """
    (await box.run(["sh", "-c", script])).check()
    left_out = await box.files.download("/t", tmp_path / "out")
    assert sorted(left_out) == ["./link", "./null"]
    assert sorted(os.listdir(tmp_path / "out")) == ["sub", "x"]
    assert (tmp_path / "out" / "sub" / "in").readlink() == Path("../x")


async def test_no_program_comes_out_that_runs_as_another_user(
    box: Box, tmp_path: Path
) -> None:
    script = "mkdir -p /t/d && cp /bin/true /t/d && chmod 6777 /t/d/true /t/d"
    (await box.run(["sh", "-c", script])).check()
    (tmp_path / "place").mkdir()
    (tmp_path / "out").symlink_to("place")
    await box.files.download("/t", tmp_path / "out")
    out = tmp_path / "place" / "d"
    assert [oct(it.stat().st_mode & 0o7777) for it in (out, out / "true")] == [
        "0o777",
        "0o777",
    ]


async def test_many_trees_come_out_at_a_time(box: Box, tmp_path: Path) -> None:
    script = "mkdir /t && head -c 1000000 /dev/zero > /t/file"
    (await box.run(["sh", "-c", script])).check()
    places = [tmp_path / f"{n}" for n in range(12)]
    await asyncio.gather(*(box.files.download("/t", it) for it in places))
    assert {(it / "file").stat().st_size for it in places} == {1_000_000}


async def test_a_box_of_a_guest_that_was_stopped_has_ended(local: Guest) -> None:
    box = await local.container().__aenter__()
    await local.stop()
    for late in (box.run(["true"]), box.files.read("/x"), box.__aexit__(*DONE)):
        with pytest.raises(GuestEnded, match="^guest: stopped$"):
            await late


async def test_boxes_do_not_see_each_other(local: Guest) -> None:
    async with local.container() as one, local.container() as two:
        await asyncio.gather(
            one.files.write("/who", "one"), two.files.write("/who", "two")
        )
        assert (await one.files.read("/who"), await two.files.read("/who")) == (
            b"one",
            b"two",
        )
