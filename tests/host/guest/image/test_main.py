# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import sys
from pathlib import Path

import pytest

from kata_host.guest.guest import GuestError
from kata_host.guest.image import __main__ as program
from kata_host.guest.image import build
from kata_host.guest.image.progress import Progress
from kata_host.guest.image.store import Image


@pytest.fixture
def called(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the builders that are called; both say where the image is."""
    called: list[str] = []

    def builder(name: str) -> None:
        def make(progress: Progress) -> Image:
            called.append(name)
            return Image(Path("/cache/image"))

        monkeypatch.setattr(build, name, make)

    builder("build")
    builder("ensure")
    return called


@pytest.mark.parametrize(
    ("arguments", "builder"), [([], "build"), (["--if-missing"], "ensure")]
)
def test_the_image_is_built_anew_unless_told_otherwise(
    called: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    builder: str,
) -> None:
    monkeypatch.setattr(sys, "argv", ["image", *arguments])
    assert program.main() == 0
    assert called == [builder]
    assert capsys.readouterr().out == "/cache/image\n"


def test_a_failure_is_one_line_and_status_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(progress: Progress) -> Image:
        raise GuestError("guest image: mkfs.erofs: status 5")

    monkeypatch.setattr(build, "build", fail)
    monkeypatch.setattr(sys, "argv", ["image"])
    assert program.main() == 1
    assert capsys.readouterr().err == "guest image: mkfs.erofs: status 5\n"
