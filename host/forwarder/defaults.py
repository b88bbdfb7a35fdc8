# SPDX-License-Identifier: Apache-2.0
"""What holds where the command line says nothing: values, so that help is quick."""

from __future__ import annotations

from typing import Final

SOCKET_MODE: Final = 0o600
"""For the VMM, which connects in the guest's place; `--socket-mode` lets others in."""
MAX_FILE_SIZE: Final = 1 << 30
"""Bytes of the file, because guests must not fill the host's disk."""
GUEST_CONNECTIONS: Final = 8
"""Connections of one listener, or of one vsock context id. An agent needs one."""
