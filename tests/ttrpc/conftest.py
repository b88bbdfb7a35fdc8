# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import settings

import ttrpc.aio.client
import ttrpc.aio.server
import ttrpc.sync.client
from bench.ttrpc.peers import python_peer
from tests.helpers.leaks import (
    left_of_serving,
    left_of_session,
    left_of_sync_session,
)

PATIENCE = 20.0
# How long an example takes says more about the machine than about the code.
settings.register_profile("ttrpc", deadline=None)
settings.load_profile("ttrpc")


@pytest.fixture(scope="module")
def our_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of our server of `peer.v1`, in a process of its own."""
    address = str(tmp_path_factory.mktemp("peer") / "ours.sock")
    with python_peer(address) as process:
        yield address
        # It fails if a call of any of the tests never ended.
        process.terminate()
        assert process.wait(PATIENCE) == 0


@pytest.fixture(autouse=True)
def nothing_is_left(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Check that no server or client of the test still counts a call or a byte."""
    made: list[Any] = []

    def recorded(cls: type) -> Any:
        def make(*arguments: Any, **options: Any) -> Any:
            made.append(cls(*arguments, **options))
            return made[-1]

        return make

    kinds = (
        (ttrpc.aio.server, "Serving", left_of_serving),
        (ttrpc.aio.client, "ClientSession", left_of_session),
        (ttrpc.sync.client, "ClientSession", left_of_sync_session),
    )
    left_of = {}
    for module, name, left in kinds:
        cls = getattr(module, name)
        left_of[cls] = left
        monkeypatch.setattr(module, name, recorded(cls))
    yield
    for it in made:
        closed = getattr(it, "closed", None) or getattr(it, "transport", None)
        assert left_of[type(it)](it) == {}, closed
