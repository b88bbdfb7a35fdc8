# SPDX-License-Identifier: Apache-2.0
"""The settings that the host process sends to a local guest's supervisor as JSON."""

from __future__ import annotations

from typing import NamedTuple


class LocalSettings(NamedTuple):
    """The settings of one local guest. All paths are absolute."""

    directory: str
    """The guest's directory, which the supervisor removes at the end."""
    socket_path: str
    """The hybrid-vsock socket; the agent listens in `<socket_path>.d/<port>`."""
    command: list[str]
    """The agent's program and its arguments."""
    environment: dict[str, str]
    """The agent's environment, all of it."""
    cgroup: str
    """The cgroup version that the guest sees: `v1`, `v2` or `auto`."""
    shared: list[str]
    """Directories of the host that the guest sees even if they are below /run."""
    console: str | None
    """The file for the agent's output; None for the supervisor's standard error."""
    cmdline: str
    """A file that the guest sees as /proc/cmdline in place of the host's."""
    slirp: str = ""
    """The program slirp4netns, for a guest with the user network; empty for none."""
