# SPDX-License-Identifier: Apache-2.0
"""The names of the package `kata_host.client`."""

from __future__ import annotations

import subprocess
import sys

import pytest

import kata_host.client


@pytest.mark.parametrize("name", kata_host.client.__all__)
def test_every_public_name_is_there(name: str) -> None:
    assert getattr(kata_host.client, name).__name__ == name


def test_another_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Nonesuch'"):
        kata_host.client.Nonesuch  # noqa: B018


def test_the_package_loads_nothing_before_its_first_use() -> None:
    program = "import sys, kata_host.client; print('asyncio' in sys.modules)"
    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert ran.stdout == "False\n"
