# SPDX-License-Identifier: Apache-2.0
"""The accelerator of a VM: given, found by a trial, or none."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from kata_host.guest import vm_accelerator
from kata_host.guest.vm_accelerator import (
    TRIAL_TIMEOUT,
    VARIABLE,
    choose_accelerator,
    try_kvm,
)
from tests.helpers.vm import require_image

KERNEL = Path("/no/kernel")


class Trials:
    """Replaces the trial: counts the calls, and returns a fixed result."""

    def __init__(self, works: bool) -> None:
        self.count = 0
        self._works = works

    def __call__(self, kernel: Path) -> bool:
        self.count += 1
        return self._works


@pytest.fixture
def device(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file in place of /dev/kvm."""
    device = tmp_path / "kvm"
    device.touch()
    monkeypatch.setattr(vm_accelerator, "DEVICE", device)
    monkeypatch.delenv(VARIABLE, raising=False)
    return device


def tried(monkeypatch: pytest.MonkeyPatch, works: bool) -> Trials:
    trials = Trials(works)
    monkeypatch.setattr(vm_accelerator, "try_kvm", trials)
    return trials


@pytest.mark.parametrize(("works", "expected"), [(True, "kvm"), (False, "tcg")])
def test_kvm_is_tried_once_until_the_next_boot(
    device: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    works: bool,
    expected: str,
) -> None:
    trials = tried(monkeypatch, works)
    assert choose_accelerator(KERNEL, tmp_path) == expected
    assert choose_accelerator(KERNEL, tmp_path) == expected
    assert trials.count == 1
    record = tmp_path / "accelerator.json"
    record.write_text(json.dumps({**json.loads(record.read_text()), "boot_id": "old"}))
    assert choose_accelerator(KERNEL, tmp_path) == expected
    assert trials.count == 2


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"boot_id": 1'])
def test_a_broken_cache_file_is_written_again(
    device: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str
) -> None:
    trials = tried(monkeypatch, True)
    (tmp_path / "accelerator.json").write_text(content)
    assert choose_accelerator(KERNEL, tmp_path) == "kvm"
    assert trials.count == 1


def test_without_the_device_nothing_is_tried(
    device: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trials = tried(monkeypatch, True)
    device.unlink()
    assert choose_accelerator(KERNEL, tmp_path) == "tcg"
    assert trials.count == 0


def test_an_accelerator_that_the_user_names_is_not_tried(
    device: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trials = tried(monkeypatch, False)
    monkeypatch.setenv(VARIABLE, "kvm")
    assert choose_accelerator(KERNEL, tmp_path) == "kvm"
    assert trials.count == 0


@pytest.mark.vm
@pytest.mark.slow
def test_a_trial_ends_in_time_on_any_machine() -> None:
    image = require_image()
    started = time.monotonic()
    works = try_kvm(image.kernel)
    assert time.monotonic() - started < TRIAL_TIMEOUT + 5
    assert works in (True, False)
