# SPDX-License-Identifier: Apache-2.0
"""The OCI runtimes that the agent can use, by the name of their program."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from kata_agent.errors import InvalidArgument
from kata_agent.reaper import Reaper
from kata_agent.runtime.crun_runtime import CrunRuntime
from kata_agent.runtime.runc_runtime import RuncRuntime
from kata_agent.runtime.runtime import Runtime

RUNTIMES: Final[Mapping[str, type[Runtime]]] = {
    "crun": CrunRuntime,
    "runc": RuncRuntime,
}


def to_runtime(
    name: str, *, reaper: Reaper, state: Path, pivot_root: bool = True
) -> Runtime:
    """Return the runtime called `name`, a program in PATH or a path.

    The runtime keeps its state in the directory `state`. `pivot_root` is False for a
    guest that runs from its initramfs, whose root cannot be pivoted (man 2 pivot_root,
    EINVAL). Raises `InvalidArgument` for another program.
    """
    runtime = RUNTIMES.get(Path(name).name)
    if runtime is None:
        raise InvalidArgument(f"runtime {name!r}: not one of crun, runc")
    return runtime(name, reaper=reaper, state=state, pivot_root=pivot_root)
