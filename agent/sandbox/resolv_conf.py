# SPDX-License-Identifier: Apache-2.0
"""The sandbox's name servers: a file of the agent, bound over `/etc/resolv.conf`."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from kata_agent.linux.mount import MNT_DETACH, MS_BIND, mount, unmount
from kata_agent.system_paths import SystemPaths

log = logging.getLogger(__name__)


class ResolvConf:
    """Shows the host's lines in place of the guest's own, and takes them away."""

    def __init__(self, paths: SystemPaths) -> None:
        self._target = paths.etc / "resolv.conf"
        self._source = paths.sandbox / "sandbox" / "resolv.conf"
        self._is_written = False
        self._is_bound = False

    def bind(self, lines: Sequence[str]) -> None:
        """Show `lines` as the guest's resolv.conf, if there are any. May block."""
        if not lines:
            return
        if not self._target.exists():
            log.warning(
                "name servers not set: no file", extra={"path": str(self._target)}
            )
            return
        self._source.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._is_written = True
        self._source.write_text("\n".join(line.strip() for line in lines) + "\n")
        # Containers of any user read the file.
        self._source.chmod(0o644)
        mount(str(self._source), self._target, "", MS_BIND)
        self._is_bound = True

    def unbind(self) -> None:
        """Show the guest's own file again, also after a failure. May block."""
        if self._is_bound:
            unmount(self._target, MNT_DETACH)
            self._is_bound = False
        if self._is_written:
            self._source.unlink(missing_ok=True)
            self._is_written = False
