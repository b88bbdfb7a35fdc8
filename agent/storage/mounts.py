# SPDX-License-Identifier: Apache-2.0
"""Mounts on mount points: file systems and binds.

Everything here blocks. A function that mounts tells its `Undo` of each thing that it
makes, before it makes the next; a function that fails leaves its part to that.

Every mount is shared (man 7 mount_namespaces), because a container may ask for
propagation (`rshared`, `rslave`): a mount below a volume of one container then shows in
the other containers of the pod.
"""

from __future__ import annotations

import errno
import logging

from kata_agent.errors import Unimplemented
from kata_agent.linux.beneath import is_directory, opened
from kata_agent.linux.mount import MS_BIND, MS_REC, MS_SHARED
from kata_agent.linux.mount_at import (
    bind_at,
    mount_at,
    remount_at,
    set_propagation,
    unmount_at,
)
from kata_agent.linux.mount_options import MountOptions
from kata_agent.storage.mount_point import MountPoint, cleaning_up, make_mount_point
from kata_agent.storage.source import open_source
from kata_agent.system_paths import SystemPaths
from kata_agent.undo import Undo

log = logging.getLogger(__name__)


def mount_file_system(
    undo: Undo, point: MountPoint, source: str, fstype: str, options: MountOptions
) -> None:
    """Mount a file system. Depending on `fstype`, `source` is a node, a tag or a name.

    The options `bind` and `rbind` have no effect, because some volume plugins of
    Kubernetes set them for disks. Raises `Unimplemented` if the kernel lacks the file
    system, `OSError` that names type, source and options, or `InvalidArgument` for a
    path that leads out.
    """
    without_bind = options._replace(flags=options.flags & ~(MS_BIND | MS_REC))
    with opened(make_mount_point(point, undo)) as target:
        try:
            mount_at(source, target, fstype, without_bind)
        except OSError as error:
            if error.errno == errno.ENODEV:
                raise Unimplemented(
                    f"storage {str(point)!r}: this kernel has no file system {fstype!r}"
                ) from error
            # The kernel names neither layers nor options, and the path of our
            # descriptor in /proc means nothing to the caller.
            mount = f"{fstype} {source!r}" + (options.data and f" ({options.data})")
            text = f"{error.strerror}, mounting {mount}"
            raise OSError(error.errno, text, str(point)) from error
        undo.callback(unmount, point)
    _share(point)


def bind(
    undo: Undo,
    paths: SystemPaths,
    point: MountPoint,
    source: str,
    options: MountOptions,
) -> None:
    """Bind the file or directory `source` to `point`. Raises as `open_source` does."""
    with opened(open_source(paths, source)) as origin:
        directory = is_directory(origin)
        with opened(make_mount_point(point, undo, directory=directory)) as target:
            bind_at(origin, target, options)
            undo.callback(unmount, point)
    _share(point)


def _share(point: MountPoint) -> None:
    """Make the mount shared; if it is a slave of another mount, it stays one too."""
    with point.opened() as mounted:
        set_propagation(mounted, MS_SHARED)


def remount(point: MountPoint, options: MountOptions) -> None:
    """Change the options of the file system mounted on `point`. Raises `OSError`."""
    with point.opened() as mounted:
        remount_at(mounted, options)


def unmount(point: MountPoint) -> None:
    """Unmount `point`. A mount in use is detached, and ends with its last user."""
    # EINVAL: nothing is mounted there any more.
    with cleaning_up(point, errno.EINVAL), point.opened_parent() as parent:
        try:
            unmount_at(parent, point.name)
        except OSError as error:
            if error.errno != errno.EBUSY:
                raise
            log.warning("mount in use, detached", extra={"mount_point": str(point)})
            unmount_at(parent, point.name, lazy=True)
