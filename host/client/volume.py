# SPDX-License-Identifier: Apache-2.0
"""Directories and files that a container sees beside its root file system."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final, Self

from kata_host.client.spec import LAYERS
from kata_protos import agent_pb2, oci_pb2

VOLUMES: Final = f"{LAYERS}/shared/volumes"
"""The directory of a VM in which volumes are mounted; no container is named so."""
_MODES: Final = {"": False, "rw": False, "ro": True}


@dataclass(frozen=True, slots=True)
class Volume:
    """A path of a local guest, or one that is shared with a VM, in a container."""

    source: str
    """An absolute path in the guest, which in a local guest is that of the host."""
    destination: str
    """An absolute path in the container."""
    read_only: bool = False

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `SRC:DST[:ro|rw]`, as `docker run -v`. Raises `ValueError`."""
        source, _, rest = text.partition(":")
        destination, _, mode = rest.partition(":")
        if not source or not destination.startswith("/") or mode not in _MODES:
            raise ValueError(
                f"volume {text!r}: not SRC:DST or SRC:DST:ro, with an absolute DST"
            )
        return cls(source, destination, _MODES[mode])

    def to_mount(self) -> oci_pb2.Mount:
        """Return the mount of the container's specification."""
        mode = "ro" if self.read_only else "rw"
        return oci_pb2.Mount(
            destination=self.destination,
            source=self.source,
            type="bind",
            options=["rbind", "rprivate", mode],
        )


def shared_volume(
    volume: Volume, tag: str, file: str
) -> tuple[agent_pb2.Storage, Volume]:
    """Return how a VM mounts a volume of the host, and the volume as the VM has it.

    `tag` and `file` are those of `kata_host.guest.sharing.share_request.Shared`.
    """
    point = f"{VOLUMES}/{tag}"
    storage = agent_pb2.Storage(
        driver="virtio-fs",
        source=tag,
        fstype="virtiofs",
        options=["nodev", "ro"] if volume.read_only else ["nodev"],
        mount_point=point,
    )
    return storage, replace(volume, source=f"{point}/{file}" if file else point)


def tmpfs_mount(text: str) -> oci_pb2.Mount:
    """Return the mount of `PATH[:OPTION,...]`, as `docker run --tmpfs`.

    The options are those of tmpfs(5) and the flags of mount(8), after `nosuid`, `nodev`
    and `noexec`. Raises `ValueError`.
    """
    destination, _, options = text.partition(":")
    if not destination.startswith("/"):
        raise ValueError(f"tmpfs {text!r}: not PATH[:OPTIONS] with an absolute PATH")
    added = [option for option in options.split(",") if option]
    return oci_pb2.Mount(
        destination=destination,
        source="tmpfs",
        type="tmpfs",
        options=["nosuid", "nodev", "noexec", *added],
    )
