# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
from pathlib import Path

import pytest

from kata_host.ctl.program import main
from tests.helpers.namespace import require_root
from tests.helpers.saved_images import docker_archive, entry, tar_of

pytestmark = pytest.mark.root


@pytest.fixture(autouse=True)
def _store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    require_root()
    monkeypatch.setenv("KATA_IMAGE_STORE", str(tmp_path / "store"))


def test_an_image_comes_is_listed_and_goes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    layer = tar_of(entry("file", bytes(123_456)))
    saved = docker_archive(tmp_path / "a.tar", layer, Cmd=["sh"], Env=["A=b"])
    assert main(["image", "import", str(saved)]) == 0
    assert main(["image", "import", str(saved), "other:2"]) == 0
    assert main(["image", "ls"]) == 0
    imported, again, head, first, second = capsys.readouterr().out.splitlines()
    assert (imported, again) == ("demo:1", "demo:1")
    assert head.split() == ["NAME", "ID", "SIZE"]
    name, id, size = first.split(maxsplit=2)
    assert (name, size) == ("demo:1", "123 kB")
    assert second.split()[:2] == ["other:2", id]
    assert main(["image", "ls", "-q"]) == 0
    assert capsys.readouterr().out.split() == ["demo:1", "other:2"]
    assert main(["image", "ls", "--format", "json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert listed["names"] == ["demo:1", "other:2"]
    assert listed["size"] == 123_456
    assert main(["image", "inspect", id]) == 0
    config = json.loads(capsys.readouterr().out)["config"]
    assert (config["cmd"], config["env"]) == (["sh"], {"A": "b"})
    assert main(["image", "rm", "other:2", "demo:1"]) == 0
    assert main(["image", "ls"]) == 0
    assert capsys.readouterr().out.splitlines()[2:] == ["NAME  ID            SIZE"]


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["import", "/none.tar"], "image '/none.tar': no such file"),
        (["import", "a b"], "image 'a b': invalid name"),
        (["rm", "none"], "image 'none': not in the store"),
        (["inspect", "none"], "image 'none': not in the store"),
    ],
)
def test_a_failure_is_one_line(
    words: list[str], line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["image", *words]) == 1
    error = capsys.readouterr().err
    assert error.startswith(f"kata-agent-ctl: {line}")
    assert len(error.splitlines()) == 1
