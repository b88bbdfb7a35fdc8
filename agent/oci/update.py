# SPDX-License-Identifier: Apache-2.0
"""The resources of UpdateContainer, made fit for the OCI runtime.

A runtime on the host sends the values that change. The OCI runtime needs both values
of a pair that the kernel has in one file or compares: in cgroup v2 `cpu.max` is quota
and period, and `memory.swap.max` is the sum of memory and swap less the memory; in v1
the sum (`memory.memsw.limit_in_bytes`) may not be less than the memory.
"""

from __future__ import annotations

import logging

from kata_agent.cgroup.supported_files import SupportedFiles
from kata_agent.errors import InvalidArgument
from kata_agent.oci.resources import fit_resources
from kata_agent.oci.spec import Spec
from kata_agent.system_paths import SystemPaths

log = logging.getLogger(__name__)


def prepare_update(
    resources: Spec,
    kept: Spec,
    *,
    container_id: str,
    files: SupportedFiles,
    paths: SystemPaths,
) -> None:
    """Fit the `resources` of an update to the guest, in place. May block.

    `kept` are the resources that the container has. Raises `InvalidArgument` for an
    update of nothing but device rules, and for an impossible limit.
    """
    _drop_devices(resources, container_id)
    fit_resources(resources, paths, files)
    if files.unified:
        _complete_cpu(resources, kept)
    _complete_memory(resources, kept, container_id)


def _drop_devices(resources: Spec, container_id: str) -> None:
    """Remove the device rules, which are complete since the container's creation.

    Another rule could only allow a device that they deny. Kata's runtimes send rules
    with every update, because containerd gives them all resources of the spec.
    """
    allowed = [rule for rule in resources.pop("devices", []) if rule["allow"]]
    if not allowed:
        return
    if not resources:
        raise InvalidArgument(
            f"container {container_id!r}: device rules cannot be updated, they are "
            "fixed at the container's creation"
        )
    log.warning(
        "device rules of an update left out, they are fixed at the creation",
        extra={"container_id": container_id, "rules": len(allowed)},
    )


def _complete_cpu(resources: Spec, kept: Spec) -> None:
    cpu = resources.get("cpu", {})
    if ("quota" in cpu) == ("period" in cpu):
        return
    missing = "period" if "quota" in cpu else "quota"
    value = kept.get("cpu", {}).get(missing, 0)
    # Without a kept quota there is no limit, which the runtime writes for none.
    if value > 0:
        cpu[missing] = value


def _complete_memory(resources: Spec, kept: Spec, container_id: str) -> None:
    memory = resources.get("memory", {})
    kept_memory = kept.get("memory", {})
    if "limit" in memory and "swap" not in memory:
        limit, swap = memory["limit"], kept_memory.get("swap", 0)
        if limit > 0 and swap > 0:
            # The sum cannot be less than one of its parts.
            memory["swap"] = max(swap, limit)
    elif memory.get("swap", 0) > 0:
        limit = memory.setdefault("limit", kept_memory.get("limit", -1))
        if not 0 < limit <= memory["swap"]:
            raise InvalidArgument(
                f"container {container_id!r}: memory and swap of {memory['swap']} "
                f"bytes need a limit of memory that is not above that sum"
            )
