# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from kata_host.client.layered_root import OPTIONS_LIMIT, layered_root


def test_layers_whose_names_are_long_get_short_ones() -> None:
    (storage,), root = layered_root("c1", ["/a", "/b"])
    assert "lowerdir=/a:/b" in storage.options
    assert storage.mount_point == root
    layers = [f"/{n:0100d}" for n in range(60)]
    (*binds, storage), root = layered_root("c1", layers, "/shared")
    assert [bind.source for bind in binds] == layers
    assert max(map(len, storage.options)) < OPTIONS_LIMIT
    names = ":".join(bind.mount_point for bind in binds)
    assert f"lowerdir={names}" in storage.options
    assert storage.mount_point == root == "/shared/c1/rootfs"
