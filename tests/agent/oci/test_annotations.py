# SPDX-License-Identifier: Apache-2.0
"""Annotations of a user never reach the OCI runtime if they steer it."""

from __future__ import annotations

import json

from kata_agent.system_paths import SystemPaths
from tests.helpers.domain import (
    container_request,
    open_sandbox,
    output_of,
)
from tests.helpers.namespace import World, in_namespaces


@in_namespaces("v2")
async def test_annotations_of_the_runtime_never_reach_it(world: World) -> None:
    """The bundle has those of the user, and those that the agent sets itself."""
    kept = {"io.kubernetes.cri.container-name": "x", "run.ocean": "y"}
    steering = {
        "run.oci.handler": "krun",
        "run.oci.hooks.stdout": "/run/stolen",
        "run.oci.seccomp_bpf_data": "BgAAAAAA/38=",
        "module.wasm.image/variant": "compat",
        "org.criu.config": "/run/stolen",
        "org.systemd.property.TasksMax": "1",
    }
    async with open_sandbox() as sandbox:
        request = container_request("c1", "true")
        request.OCI.Annotations.update(kept | steering)
        # The hook reads its input: the runtime fails if it cannot write all of it.
        request.OCI.Hooks.Prestart.add(Path="/bin/cat", Args=["cat"])
        await sandbox.create_container(request)
        bundle = SystemPaths().sandbox / "c1"
        config = json.loads((bundle / "config.json").read_text())
        output = str(bundle / "hooks.log")
        assert config["annotations"] == {
            **kept,
            "run.oci.hooks.stdout": output,
            "run.oci.hooks.stderr": output,
        }


@in_namespaces("v2")
async def test_an_annotation_does_not_replace_the_seccomp_filter(world: World) -> None:
    async with open_sandbox() as sandbox:
        request = container_request("c1", "busybox", "mkdir", "/tmp/x")
        seccomp = request.OCI.Linux.Seccomp
        seccomp.DefaultAction = "SCMP_ACT_ALLOW"
        rule = seccomp.Syscalls.add(Action="SCMP_ACT_ERRNO")
        rule.Names.extend(["mkdir", "mkdirat"])
        # One instruction of BPF: allow (SECCOMP_RET_ALLOW, man 2 seccomp).
        request.OCI.Annotations["run.oci.seccomp_bpf_data"] = "BgAAAAAA/38="
        output = await output_of(sandbox, request)
        assert "Operation not permitted" in output
