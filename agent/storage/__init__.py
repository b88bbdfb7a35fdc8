# SPDX-License-Identifier: Apache-2.0
"""Storages: the mounts that the host asks for, for a container or for the sandbox.

storages                       the mount points in use, and the users of each
handlers, driver_names         the drivers, one line each; their names
bind, block, ephemeral, local, mmio, ninep, nvdimm, overlayfs, scsi, virtiofs, watch
                               a driver each: its `add` puts a storage in place
driver_context                 all that a driver may use
mount_point, source, mounts    paths confined to the sandbox's directories; mounts there
disk, tag, group               shared by several drivers
mirror, file_state             the copies of `watchable-bind`
"""
