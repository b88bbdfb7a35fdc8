# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import os
from pathlib import Path

import pytest

from kata_host.image.errors import ImageError
from kata_host.image.fetch import fetch


@pytest.fixture
def skopeo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program that writes its words down, and fails if a file says so."""
    program = tmp_path / "bin" / "skopeo"
    program.parent.mkdir()
    program.write_text(
        '#!/bin/sh\nprintf "%s\\n" "$@" > "${0%/*}/words"\n'
        'if [ -e "${0%/*}/fail" ]; then\n'
        'echo "one" >&2; echo "no such image" >&2; exit 1; fi\n'
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    return program.parent


def test_skopeo_makes_a_layout(skopeo: Path, tmp_path: Path) -> None:
    target = tmp_path / "fetched"
    assert fetch("debian:13", target) == target
    words = (skopeo / "words").read_text().split()
    assert words[-3:] == ["--quiet", "docker://debian:13", f"oci:{target}:image"]
    fetch("localhost:5000/a:1", target)
    assert "--src-tls-verify=false" in (skopeo / "words").read_text()


def test_a_failure_has_the_last_words_of_skopeo(skopeo: Path, tmp_path: Path) -> None:
    (skopeo / "fail").touch()
    with pytest.raises(ImageError, match="^image 'a:1': skopeo: no such image$"):
        fetch("a:1", tmp_path / "fetched")


def test_a_host_without_skopeo_is_told_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(ImageError, match=r"^image 'a:1': .*\(package skopeo\)$"):
        fetch("a:1", tmp_path)
