# SPDX-License-Identifier: Apache-2.0
"""Copies that fail; tests/e2e/test_containers.py has those that do not."""

from __future__ import annotations

import argparse
import io
import signal
import tarfile
from pathlib import Path

import pytest

from kata_host.client import ended_start
from kata_host.ctl import silence
from kata_host.ctl.copy_place import GuestPlace, parse_place
from kata_host.ctl.copying import copy_in, copy_out
from kata_host.ctl.errors import CommandError
from tests.helpers.fake_agent import FakeAgent

OPTIONS = argparse.Namespace(guest=None, connect_timeout=None)


def place_of(word: str) -> GuestPlace:
    place = parse_place(word, OPTIONS)
    assert isinstance(place, GuestPlace)
    return place


def archive_of(name: str, content: bytes) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        member = tarfile.TarInfo(name)
        member.size = len(content)
        archive.addfile(member, io.BytesIO(content))
    return file.getvalue()


async def test_what_a_guest_sends_is_unpacked(
    agent: FakeAgent, guest_one: str, tmp_path: Path
) -> None:
    agent.status = 0
    data = archive_of("f", b"x" * 300_000)
    agent.stdout = [data[at : at + 1000] for at in range(0, len(data), 1000)]
    await copy_out(place_of("one/c1:/f"), tmp_path)
    assert (tmp_path / "f").read_bytes() == b"x" * 300_000


async def test_a_hostile_archive_ends_its_program(
    agent: FakeAgent, guest_one: str, tmp_path: Path
) -> None:
    # Far more than a pipe holds comes behind the entry that is refused.
    agent.stdout = [archive_of("../f", b""), *[bytes(200_000)] * 30]
    with pytest.raises(CommandError, match=r"cp: '\.\./f': a path out of the archive"):
        await copy_out(place_of("one/c1:/f"), tmp_path / "new")
    assert (await agent.received("SignalProcess")).signal == signal.SIGKILL
    assert not (tmp_path.parent / "f").exists()


async def test_a_tar_that_fails_is_told(
    agent: FakeAgent, guest_one: str, tmp_path: Path
) -> None:
    agent.status = 2
    (tmp_path / "f").write_bytes(bytes(3_000_000))
    with pytest.raises(CommandError, match="cp: tar ended with status 2"):
        await copy_in(tmp_path / "f", place_of("one/c1:/f"))
    sent = b"".join(r.data for r in agent.requests if hasattr(r, "data"))
    assert sent.startswith(b"archive\n")
    with tarfile.open(fileobj=io.BytesIO(sent[len(b"archive\n") :])) as archive:
        file, whole = archive
    assert (file.size, whole.name) == (3_000_000, f"{file.name}.whole")
    with pytest.raises(CommandError, match=r"none: No such file"):
        await copy_in(tmp_path / "none", place_of("one/c1:/f"))


async def test_a_program_of_the_box_cannot_keep_the_copy(
    agent: FakeAgent,
    guest_one: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(silence, "SILENCE", 0.05)
    monkeypatch.setattr(ended_start, "ENDING_TIMEOUT", 0.05)
    (tmp_path / "f").write_bytes(b"x")
    place = place_of("one/c1:/f")
    # The first program of a copy into a box is its `test`, that of one out its `tar`.
    for program, copying in (
        ("test", lambda: copy_in(tmp_path / "f", place)),
        ("tar", lambda: copy_in(None, place)),
        ("tar", lambda: copy_out(place, tmp_path / "new")),
        ("tar", lambda: copy_out(place, None)),
    ):
        agent.status = 0
        agent.may_end.clear()
        agent.stdout = [archive_of("f", b"x")]
        with pytest.raises(CommandError, match=f"cp: '{program}' in the guest: no ans"):
            await copying()
        assert (await agent.received("SignalProcess")).signal == signal.SIGKILL


async def test_a_program_that_does_not_read_cannot_keep_the_copy(
    agent: FakeAgent,
    guest_one: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(silence, "SILENCE", 0.05)
    monkeypatch.setattr(ended_start, "ENDING_TIMEOUT", 0.05)
    agent.status = 1  # There is no directory of that name.
    agent.silent = {"WriteStdin"}
    (tmp_path / "f").write_bytes(b"x")
    with pytest.raises(CommandError, match="cp: 'tar' in the guest: no answer"):
        await copy_in(tmp_path / "f", place_of("one/c1:/f"))
    # It may clean up, and does not go on.
    await agent.received("CloseStdin")
