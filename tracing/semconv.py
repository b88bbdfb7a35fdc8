# SPDX-License-Identifier: Apache-2.0
"""Names of spans and keys of attributes, all of them, in one place.

Keys are those of OpenTelemetry's semantic conventions (1.4x; the RPC ones are
"release candidate" there) where it has one, of Kata 1.x where an old tool may
look for it (`subsystem`, `source`, `api-category`), and `agent.*` otherwise.
"""

from __future__ import annotations

from typing import Final

# ---- OpenTelemetry ----------------------------------------------------------
RPC_SYSTEM_NAME: Final = "rpc.system.name"
RPC_METHOD: Final = "rpc.method"
RPC_RESPONSE_STATUS_CODE: Final = "rpc.response.status_code"
ERROR_TYPE: Final = "error.type"
CONTAINER_ID: Final = "container.id"
PROCESS_PID: Final = "process.pid"
SERVICE_NAME: Final = "service.name"
SERVICE_VERSION: Final = "service.version"
SERVICE_INSTANCE_ID: Final = "service.instance.id"
HOST_ARCH: Final = "host.arch"
OS_TYPE: Final = "os.type"

# ---- Kata 1.x ---------------------------------------------------------------
SUBSYSTEM: Final = "subsystem"
SOURCE: Final = "source"
API_CATEGORY: Final = "api-category"

# ---- Ours -------------------------------------------------------------------
SANDBOX_ID: Final = "sandbox.id"
EXEC_ID: Final = "agent.exec.id"
ERRNO: Final = "agent.errno"
"""The kernel's name of an `OSError`'s number, `ENOENT`."""

SERVICE: Final = "kata-agent"
CLIENT_SCOPE: Final = "kata-agent-client"
TTRPC: Final = "ttrpc"
AGENT: Final = "agent"
INTERACTIVE: Final = "interactive"

RPC_SUBSYSTEM: Final = "rpc"

ARCHITECTURES: Final = {"x86_64": "amd64", "aarch64": "arm64"}
"""`host.arch` has names of its own; others are as the kernel says."""
