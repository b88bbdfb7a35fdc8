# SPDX-License-Identifier: Apache-2.0
"""A container's part in its pod, by the annotations that runtimes sent."""

from __future__ import annotations

import pytest

from kata_agent.oci.pod import is_pause_container, kubernetes_name


@pytest.mark.parametrize(
    ("kind", "is_pause"),
    [("pod_sandbox", True), ("pod_container", False), ("single_container", False)],
)
def test_the_pause_container_is_told_by_the_type_of_kata_s_runtimes(
    kind: str, is_pause: bool
) -> None:
    spec = {"annotations": {"io.katacontainers.pkg.oci.container_type": kind}}
    assert is_pause_container(spec) is is_pause
    assert not is_pause_container({})


def test_a_name_is_that_of_containerd_or_of_crio() -> None:
    containerd = {"io.kubernetes.cri.container-name": "web"}
    crio = {"io.kubernetes.cri-o.ContainerName": "web"}
    for given in (containerd, crio, {**crio, **dict.fromkeys(containerd, "")}):
        assert kubernetes_name({"annotations": given}) == "web"
    assert kubernetes_name({}) is None
    assert kubernetes_name({"annotations": {"name": "web"}}) is None
