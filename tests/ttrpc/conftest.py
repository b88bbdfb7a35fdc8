# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import settings

from bench.ttrpc.peers import python_peer

# How long an example takes says more about the machine than about the code.
settings.register_profile("ttrpc", deadline=None)
settings.load_profile("ttrpc")


@pytest.fixture(scope="module")
def our_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of our server of `peer.v1`, in a process of its own."""
    address = str(tmp_path_factory.mktemp("peer") / "ours.sock")
    with python_peer(address):
        yield address
