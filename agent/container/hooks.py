# SPDX-License-Identifier: Apache-2.0
"""Guest hooks: programs of the guest image that run for every container.

The hooks are in directories named after the kind of hook, below the path that
CreateSandbox gives, and run after the hooks of the spec. The runtime runs all but those
of the kind `RUN_BY_AGENT`.
"""

from __future__ import annotations

import json
import logging
import os
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from kata_agent.errors import AgentError, Internal
from kata_agent.oci.spec import Spec
from kata_agent.reaper import Reaper
from kata_tracing import semconv
from kata_tracing.span import span

log = logging.getLogger(__name__)

RUN_BY_AGENT: Final = "poststart"
"""The agent runs this kind, because crun ignores a failure of such a hook."""
KINDS: Final = ("prestart", "poststart", "poststop")
OUTPUT_LIMIT: Final = 4096
"""Bytes of a hook's output that an error quotes."""


def find_guest_hooks(directory: Path) -> Spec:
    """Return the `hooks` of a directory, in name order. May block.

    Only regular executable files count, because a link may lead out of the image.
    """
    hooks: Spec = {}
    for kind in KINDS:
        try:
            entries = sorted(os.scandir(directory / kind), key=lambda entry: entry.name)
        except FileNotFoundError:
            continue
        for entry in entries:
            mode = entry.stat(follow_symlinks=False).st_mode
            if not stat.S_ISREG(mode) or not mode & 0o111:
                log.warning(
                    "guest hook ignored, not a regular executable file",
                    extra={"path": entry.path},
                )
                continue
            hooks.setdefault(kind, []).append(
                {"path": entry.path, "args": [entry.name, kind]}
            )
    if not hooks:
        log.warning("guest hooks not found", extra={"path": os.fspath(directory)})
    return hooks


def running_state(container_id: str, spec: Spec, pid: int, bundle: Path) -> Spec:
    """Return the OCI state of a running container (runtime-spec runtime.md)."""
    return {
        "ociVersion": spec["ociVersion"],
        "id": container_id,
        "status": "running",
        "pid": pid,
        "bundle": str(bundle),
        "annotations": spec.get("annotations", {}),
    }


def has_work_after_exit(spec: Spec) -> bool:
    """Tell whether the runtime has work when all processes of the container have ended.

    That is to run poststop hooks, and to remove the container's group in resctrl
    (runtime-spec config-linux.md, "IntelRdt").
    """
    return bool(
        spec.get("hooks", {}).get("poststop") or spec.get("linux", {}).get("intelRdt")
    )


async def run_hooks(hooks: Sequence[Spec], state: Spec, reaper: Reaper) -> None:
    """Run hooks in order, with the OCI state on stdin.

    Raises `Internal`, with the hook's output, for the first hook that fails.
    """
    for hook in hooks:
        with span("hook.run", {semconv.HOOK: hook["path"]}, subsystem="container"):
            await _run_hook(hook, state, reaper)


async def _run_hook(hook: Spec, state: Spec, reaper: Reaper) -> None:
    environment = dict(each.partition("=")[::2] for each in hook.get("env", []))
    path = hook["path"]
    try:
        completed = await reaper.run(
            hook.get("args") or [path],
            program=path,
            stdin=json.dumps(state).encode(),
            timeout=hook.get("timeout"),
            env=environment if environment else None,
        )
    except (AgentError, OSError) as error:
        raise Internal(f"hook {path!r}: {error}") from error
    if completed.status != 0:
        output = (completed.stdout + completed.stderr).decode(errors="replace")
        raise Internal(
            f"hook {path!r}: status {completed.status}: "
            f"{output[-OUTPUT_LIMIT:].strip()}"
        )


def merge_hooks(spec: Spec, guest_hooks: Spec, output: Path) -> None:
    """Append guest hooks to those of the spec, and let them write into `output`.

    runc quotes the stderr of a failed hook in its message. crun writes it to the file
    that an annotation names (crun(1), "run.oci.hooks.stdout").
    """
    merged = {
        kind: [*spec.get("hooks", {}).get(kind, []), *guest_hooks.get(kind, [])]
        for kind in {**spec.get("hooks", {}), **guest_hooks}
    }
    if not merged:
        return
    spec["hooks"] = merged
    annotations = spec.setdefault("annotations", {})
    for stream in ("stdout", "stderr"):
        annotations[f"run.oci.hooks.{stream}"] = os.fspath(output)
