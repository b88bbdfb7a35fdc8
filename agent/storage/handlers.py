# SPDX-License-Identifier: Apache-2.0
"""The storage drivers. A new one is a file in this folder and a line in `HANDLERS`.

The driver's name is in `driver_names.py` as well, which the start of the agent reads.
"""

from __future__ import annotations

from collections.abc import Set
from typing import Final, NamedTuple, Protocol

from kata_agent.storage import (
    bind,
    block,
    ephemeral,
    local,
    mmio,
    ninep,
    nvdimm,
    overlayfs,
    scsi,
    virtiofs,
    watch,
)
from kata_agent.storage.disk import DRIVER_OPTIONS
from kata_agent.storage.driver_context import DriverContext
from kata_protos.agent_pb2 import Storage


class AddStorage(Protocol):
    """Puts one storage in place, and leaves the undoing in `context.cleanup`.

    Raises `AgentError` or `OSError`.
    """

    async def __call__(self, storage: Storage, context: DriverContext) -> None: ...


class StorageHandler(NamedTuple):
    """One driver: its function, and the rules for the requests that name it."""

    add: AddStorage
    needs_source: bool = True
    needs_fstype: bool = True
    driver_options: Set[str] = frozenset()
    """The names in `Storage.driver_options` that the driver knows."""
    is_lasting: bool = False
    """The storage stays when its last container is removed, until the sandbox ends:
    an emptyDir survives the restarts of its containers."""


HANDLERS: Final[dict[str, StorageHandler]] = {
    "9p": StorageHandler(ninep.add),
    "bind": StorageHandler(bind.add, needs_fstype=False),
    "blk": StorageHandler(block.add, driver_options=DRIVER_OPTIONS),
    "ephemeral": StorageHandler(ephemeral.add, needs_source=False, is_lasting=True),
    "local": StorageHandler(
        local.add, needs_source=False, needs_fstype=False, is_lasting=True
    ),
    "mmioblk": StorageHandler(mmio.add, driver_options=DRIVER_OPTIONS),
    "nvdimm": StorageHandler(nvdimm.add, driver_options=DRIVER_OPTIONS),
    "overlayfs": StorageHandler(
        overlayfs.add,
        needs_source=False,
        needs_fstype=False,
        driver_options={overlayfs.CREATE},
    ),
    "scsi": StorageHandler(scsi.add, driver_options=DRIVER_OPTIONS),
    "virtio-fs": StorageHandler(virtiofs.add),
    "watchable-bind": StorageHandler(watch.add, needs_fstype=False),
}
"""By the name that `Storage.driver` has."""
