# SPDX-License-Identifier: Apache-2.0
"""The rule for names of spans, and every attribute key that is written.

A span's name is `noun.verb`, lower case, and is written where the span is made:
"container.create", "runtime.delete". The span of a call is named after its method,
"grpc.AgentService/CreateContainer". TRACING.md lists all names with their keys.

A key is OpenTelemetry's where its semantic conventions have one (1.4x; the RPC ones
are "release candidate" there), Kata 1.x's where an old tool may look for it, and
`agent.*` otherwise. The tags that Jaeger has in place of OTLP's fields are in
`kata_tracing.encoding.jaeger`.
"""

from __future__ import annotations

from typing import Final

# ---- keys of OpenTelemetry ---------------------------------------------------
RPC_SYSTEM_NAME: Final = "rpc.system.name"
RPC_METHOD: Final = "rpc.method"
RPC_RESPONSE_STATUS_CODE: Final = "rpc.response.status_code"
ERROR_TYPE: Final = "error.type"
CONTAINER_ID: Final = "container.id"
NETWORK_INTERFACE_NAME: Final = "network.interface.name"
PROCESS_PID: Final = "process.pid"
PROCESS_EXECUTABLE_NAME: Final = "process.executable.name"
PROCESS_EXIT_CODE: Final = "process.exit.code"
SERVICE_NAME: Final = "service.name"
SERVICE_VERSION: Final = "service.version"
SERVICE_INSTANCE_ID: Final = "service.instance.id"
HOST_ARCH: Final = "host.arch"
OS_TYPE: Final = "os.type"
TELEMETRY_SDK_NAME: Final = "telemetry.sdk.name"
TELEMETRY_SDK_LANGUAGE: Final = "telemetry.sdk.language"
TELEMETRY_SDK_VERSION: Final = "telemetry.sdk.version"

# ---- keys of Kata 1.x --------------------------------------------------------
SUBSYSTEM: Final = "subsystem"
SOURCE: Final = "source"
API_CATEGORY: Final = "api-category"

# ---- keys of this agent ------------------------------------------------------
SANDBOX_ID: Final = "sandbox.id"
EXEC_ID: Final = "agent.exec.id"
ERRNO: Final = "agent.errno"
"""The symbolic name of an `OSError`'s number, such as `ENOENT`."""
COUNT: Final = "agent.count"
"""The number of objects in the request."""
CPUS: Final = "agent.cpus"
"""The number of CPUs that the request asks for."""
DEVICE_ID: Final = "agent.device.id"
DEVICE_TYPE: Final = "agent.device.type"
HOOK: Final = "agent.hook"
"""The path of the hook's program."""
MODULE: Final = "agent.module"
"""The name of the kernel module."""
PORT: Final = "agent.port"
"""The vsock port of a standard stream."""
STREAM: Final = "agent.stream"
"""`stdin`, `stdout` or `stderr`."""
STORAGE_DRIVER: Final = "agent.storage.driver"
STORAGE_FSTYPE: Final = "agent.storage.fstype"
STORAGE_POINT: Final = "agent.storage.point"
"""The path of the mount point."""
UEVENT_NAME: Final = "agent.uevent.name"
UEVENT_PATH: Final = "agent.uevent.path"
"""The kernel's DEVPATH, a path below /sys."""
UEVENT_SUBSYSTEM: Final = "agent.uevent.subsystem"

# ---- values ------------------------------------------------------------------
SERVICE: Final = "kata-agent"
"""The value of `service.name`; also the name of the guest's instrumentation scope."""
CLIENT_SCOPE: Final = "kata-agent-client"
"""The name of the instrumentation scope of calls on the host's side."""
TTRPC: Final = "ttrpc"
"""The value of `rpc.system.name`."""
AGENT: Final = "agent"
"""The value of `source`, and of `subsystem` for the agent's own steps."""
INTERACTIVE: Final = "interactive"
"""The value of `api-category` for reads and writes of standard streams."""
RPC_SUBSYSTEM: Final = "rpc"
"""The value of `subsystem` for the span of a call."""
ARCHITECTURES: Final = {"x86_64": "amd64", "aarch64": "arm64"}
"""The kernel's name to the value of `host.arch`; other names stay as they are."""
