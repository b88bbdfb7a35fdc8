# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from kata_host.client.identifier import new_id


def test_ids_differ_and_show_their_prefix() -> None:
    ids = {new_id("exec") for _ in range(100)}
    assert len(ids) == 100
    assert all(each.startswith("exec-") for each in ids)
