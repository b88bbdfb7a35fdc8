# SPDX-License-Identifier: Apache-2.0
"""Storages: what the host wants mounted, for one container or for the sandbox.

Each driver has a file here with a function that puts a storage in place. A new
one is that file and a line in `HANDLERS`.

A mount point is used by any number of containers: the first use mounts, the
last release unmounts. A storage that several containers of a pod go through one
after the other (an emptyDir survives their restarts) stays until the sandbox
ends, and so does what the sandbox itself asked for.
"""
