# SPDX-License-Identifier: Apache-2.0
"""The kernel modules that CreateSandbox names."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from kata_agent.errors import Internal, InvalidArgument
from kata_agent.reaper import Reaper
from kata_protos.agent_pb2 import KernelModule
from kata_tracing import semconv
from kata_tracing.span import span

log = logging.getLogger(__name__)


async def load_modules(reaper: Reaper, modules: Iterable[KernelModule]) -> None:
    """Load each module with its parameters, in order.

    Raises `InvalidArgument` or `Internal` for the first that fails; `NotFound` in a
    guest without modprobe.
    """
    for module in modules:
        # modprobe would read a leading dash as an option of its own.
        if not module.name or module.name.startswith("-"):
            raise InvalidArgument(f"kernel module {module.name!r}: invalid name")
        with span("module.load", {semconv.MODULE: module.name}, subsystem="sandbox"):
            completed = await reaper.run(
                ["modprobe", "-v", "--", module.name, *module.parameters]
            )
        if completed.status:
            output = completed.stdout + completed.stderr
            text = output.decode(errors="replace").strip()
            raise Internal(f"kernel module {module.name!r}: {text}")
        log.info("kernel module loaded", extra={"module_name": module.name})
