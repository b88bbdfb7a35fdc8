# SPDX-License-Identifier: Apache-2.0
"""The root file system of a container over the layers of an image."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from kata_host.client.spec import LAYERS, writable_layer
from kata_protos import agent_pb2

IMAGES: Final = f"{LAYERS}/shared/images"
"""The directory of a guest in which disks are mounted; no container is named so."""
OPTIONS_LIMIT: Final = 3500
"""Bytes of the names of layers; mount(2) takes a page of options."""


def disk_storage(name: str, driver: str, address: str) -> agent_pb2.Storage:
    """Return a storage that mounts the disk of an image, to be the layer of a root.

    `driver` is the agent's, `address` what it calls the disk, and `name` is one that no
    other mount of the guest has.
    """
    return agent_pb2.Storage(
        driver=driver,
        source=address,
        fstype="erofs",
        options=["ro", "nodev"],
        mount_point=f"{IMAGES}/{name}",
    )


def layered_root(
    container_id: str, layers: Sequence[str], directory: str = LAYERS
) -> tuple[Sequence[agent_pb2.Storage], str]:
    """Return storages that put a writable layer over `layers`, and its path.

    `layers` are one directory or more of the guest, the highest first. They get short
    paths if all of theirs do not fit into the options of a mount. The path is below
    `directory`. Raises `ValueError` for a layer that overlayfs would split.
    """
    binds: Sequence[agent_pb2.Storage] = []
    if sum(len(layer.encode()) + 1 for layer in layers) >= OPTIONS_LIMIT:
        points = [f"{LAYERS}/{container_id}/{n}" for n in range(len(layers))]
        binds = [
            agent_pb2.Storage(driver="bind", source=layer, mount_point=point)
            for layer, point in zip(layers, points, strict=True)
        ]
        layers = points
    highest, *lower = layers
    storage, root = writable_layer(container_id, highest, directory, lower=lower)
    return [*binds, storage], root
