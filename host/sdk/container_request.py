# SPDX-License-Identifier: Apache-2.0
"""The container that a program asks for, as the agent's messages say it."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from kata_host.client.layered_root import layered_root
from kata_host.client.limits import Limits
from kata_host.client.spec import default_process, default_spec
from kata_host.client.upload import SHARED
from kata_host.sdk.roots import Root
from kata_host.sdk.user import User, to_user
from kata_protos import agent_pb2, oci_pb2

NewFiles = Mapping[str, "bytes | str | os.PathLike[str]"]
"""Files to make: paths, and contents as bytes, as text, or in a file of the host."""


@dataclass(frozen=True, slots=True)
class ContainerRequest:
    """A container with a writable layer of its own over a directory of the guest."""

    id: str
    spec: oci_pb2.Spec
    storages: Sequence[agent_pb2.Storage]
    root: str
    """The guest's path of the root file system, to which CopyFile may write."""

    def path_of(self, file: str) -> str:
        """Return the guest's path of a file of the container.

        `file` is absolute, or below the container's working directory. Raises
        `ValueError` for a path that leads out or that a mount hides.
        """
        cwd = self.spec.Process.Cwd
        path = posixpath.normpath(posixpath.join(cwd, file))
        if "\0" in file or not file or file.endswith("/") or path.startswith("//"):
            raise ValueError(f"file {file!r}: not a path of a file")
        if ".." in file.split("/"):
            raise ValueError(f"file {file!r}: has a part '..'")
        for mount in self.spec.Mounts:
            if f"{path}/".startswith(f"{mount.destination.rstrip('/')}/"):
                raise ValueError(f"file {file!r}: hidden by {mount.destination}")
        return f"{self.root}{path}"


def container_request(
    container_id: str,
    args: Sequence[str],
    base: Root,
    *,
    env: Mapping[str, str] | None,
    cwd: str | None,
    user: User | None,
    limits: Limits,
    mounts: Sequence[oci_pb2.Mount] = (),
    storages: Sequence[agent_pb2.Storage] = (),
) -> ContainerRequest:
    """Return the request for a container that runs `args` over `base`.

    What is left out is as the image has it; `storages` are what `mounts` need. Raises
    `ValueError`.
    """
    if isinstance(args, str) or not args:
        raise ValueError(f"command {args!r}: not a list of words")
    directory = base.cwd if cwd is None else _directory(cwd)
    process = default_process(args, env={**base.env, **(env or {})}, cwd=directory)
    if user is None:
        # The groups of a user with a name are those of the image's /etc/group.
        name, _, group = base.user.partition(":")
        user = base.user if group.isdigit() else name
    if user != "":
        process.User.CopyFrom(to_user(user))
    layers, root = layered_root(container_id, base.layers, SHARED)
    spec = default_spec(
        container_id, process, rootfs=root, limits=limits, mounts=mounts
    )
    needed = [*base.storages, *layers, *storages]
    return ContainerRequest(container_id, spec, needed, root)


def _directory(cwd: str) -> str:
    if not cwd.startswith("/"):
        raise ValueError(f"cwd {cwd!r}: not an absolute path")
    return cwd
