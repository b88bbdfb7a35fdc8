# SPDX-License-Identifier: Apache-2.0
"""The guest image: small, and the same bytes from the same packages."""

from __future__ import annotations

from pathlib import Path

import pytest

from kata_host.guest.image import agent, build, store
from kata_host.guest.image.apt import AptSuite
from kata_host.guest.image.progress import Progress
from tests.helpers.vm import require_image

pytestmark = [pytest.mark.vm, pytest.mark.slow]

MB = 1_000_000


@pytest.fixture(scope="module")
def image() -> store.Image:
    image = require_image()
    if image.manifest["agent"] != agent.digest():
        return build.build(Progress())
    return image


def test_the_image_and_the_agent_in_it_are_small(image: store.Image) -> None:
    manifest = image.manifest
    assert sum(part["compressed"] for part in manifest["parts"].values()) < 60 * MB
    assert manifest["agent_compressed"] < 15 * MB


@pytest.mark.timeout(300)
def test_a_second_build_gives_the_same_bytes(
    image: store.Image, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for downloads in ("apt", "pip"):
        link = tmp_path / "kata-agent" / downloads
        link.parent.mkdir(exist_ok=True)
        link.symlink_to(store.cache() / downloads)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    # A new package in a suite must not change the second build.
    monkeypatch.setattr(AptSuite, "update", lambda suite: None)
    again = build.build(Progress())
    assert again.directory != image.directory
    assert again.manifest == image.manifest
