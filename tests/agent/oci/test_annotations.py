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

STEERING = (
    # crun(1) and crun's handlers
    "run.oci.delegate-cgroup",
    "run.oci.handler",
    "run.oci.hooks.stderr",
    "run.oci.hooks.stdout",
    "run.oci.keep_original_groups",
    "run.oci.mount_context_type",
    "run.oci.pidfd_receiver",
    "run.oci.seccomp.plugins",
    "run.oci.seccomp.receiver",
    "run.oci.seccomp_bpf_data",
    "run.oci.seccomp_fail_unknown_syscall",
    "run.oci.systemd.force_cgroup_v1",
    "run.oci.systemd.subgroup",
    "run.oci.timens_offset",
    "krun.cpus",
    "krun.variant",
    "module.wasm.image/variant",
    "org.systemd.property.TasksMax",
    # `runc features`, potentiallyUnsafeConfigAnnotations
    "bundle",
    "bundle=/run/stolen",
    "org.criu.config",
)


@in_namespaces("v2")
async def test_annotations_of_the_runtime_never_reach_it(world: World) -> None:
    """The bundle has those of the user, and those that the agent sets itself."""
    # Of the Go shim and of runtime-rs, of a user, and two that only look alike.
    kept = {
        "io.kubernetes.cri.container-name": "c1",
        "io.kubernetes.cri.container-type": "container",
        "io.katacontainers.pkg.oci.container_type": "pod_container",
        "nerdctl/network-namespace": "/var/run/netns/cni-1",
        "run.ocean": "y",
        "bundle.example": "z",
    }
    steering = {name: "/run/stolen" for name in STEERING}
    async with open_sandbox() as sandbox:
        request = container_request("c1", "true")
        request.OCI.Annotations.update(kept | steering)
        # The hook reads its input: the runtime fails if it cannot write all of it.
        request.OCI.Hooks.Prestart.add(Path="/bin/cat", Args=["cat"])
        await sandbox.create_container(request)
        bundle = SystemPaths().sandbox / "c1"
        config = json.loads((bundle / "config.json").read_text())
        output = str(bundle / "hook-output")
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
