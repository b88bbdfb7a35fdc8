# SPDX-License-Identifier: Apache-2.0
"""Guests that are booted once and shared by the tests of a file or of all files."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from guest.image.store import Image
from guest.vm import VmGuest
from tests.helpers import vm


@pytest.fixture(scope="session")
def image() -> Image:
    """The guest image."""
    return vm.require_image()


@pytest.fixture(scope="module")
def vsock_guest(
    image: Image, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[VmGuest]:
    """A booted guest without an agent: see `vsock_init.py`."""
    with vm.vsock_guest(image, tmp_path_factory.mktemp("vsock")) as guest:
        yield guest


@pytest.fixture
def control(vsock_guest: VmGuest) -> Iterator[vm.Control]:
    """A control connection of the test's own."""
    control = vm.Control(vsock_guest.socket)
    yield control
    control.close()
