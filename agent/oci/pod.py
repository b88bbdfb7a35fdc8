# SPDX-License-Identifier: Apache-2.0
"""A container's part in its pod, which runtimes tell by annotations."""

from __future__ import annotations

from typing import Final

from kata_agent.oci.spec import Spec

TYPE: Final = "io.katacontainers.pkg.oci.container_type"
"""Set by Kata's runtimes: `pod_sandbox`, `pod_container` or `single_container`."""
NAMES: Final = (
    "io.kubernetes.cri.container-name",
    "io.kubernetes.cri-o.ContainerName",
)
"""The annotations with the name in Kubernetes, of containerd and of CRI-O."""


def is_pause_container(spec: Spec) -> bool:
    """Tell whether the container only holds the pod together."""
    annotations: dict[str, str] = spec.get("annotations", {})
    return annotations.get(TYPE) == "pod_sandbox"


def kubernetes_name(spec: Spec) -> str | None:
    """Return the container's name in its pod, None outside of Kubernetes."""
    annotations: dict[str, str] = spec.get("annotations", {})
    names = (annotations.get(name) for name in NAMES)
    return next((name for name in names if name), None)
