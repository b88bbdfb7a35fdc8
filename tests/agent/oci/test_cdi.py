# SPDX-License-Identifier: Apache-2.0
"""No container runs without a device that it asks for."""

from __future__ import annotations

from typing import Any

import pytest

from kata_agent.errors import Unimplemented
from kata_agent.oci.cdi import refuse_cdi_devices


def spec(*env: str, **annotations: str) -> dict[str, Any]:
    return {"process": {"env": list(env)}, "annotations": annotations}


# The annotation is that of Kata's policy case `gpu_vfio_cdi`: the Go runtime's.
GPU = {"cdi.k8s.io/vfio1": "nvidia.com/gpu=0"}


@pytest.mark.parametrize(
    ("given", "text"),
    [
        (
            spec(**GPU),
            "container 'c1': device 'nvidia.com/gpu=0' of annotation "
            "'cdi.k8s.io/vfio1': CDI is not supported",
        ),
        (
            spec("A=b", "VISIBLE_CDI_DEVICES=nvidia.com/gpu=all"),
            "container 'c1': device 'nvidia.com/gpu=all' of variable "
            "VISIBLE_CDI_DEVICES: CDI is not supported",
        ),
        (
            spec("VISIBLE_CDI_DEVICES=none", **GPU),
            "container 'c1': device 'nvidia.com/gpu=0' of annotation "
            "'cdi.k8s.io/vfio1': CDI is not supported",
        ),
    ],
)
def test_a_device_is_refused_by_its_name(given: dict[str, Any], text: str) -> None:
    with pytest.raises(Unimplemented) as caught:
        refuse_cdi_devices("c1", given)
    assert str(caught.value) == text


@pytest.mark.parametrize(
    "given",
    [
        {"process": {"env": ["A=b"]}},
        spec("VISIBLE_CDI_DEVICES="),
        spec("VISIBLE_CDI_DEVICES=none"),
        spec("VISIBLE_CDI_DEVICES= void "),
        spec("MY_VISIBLE_CDI_DEVICES=nvidia.com/gpu=0"),
        spec(**GPU, **{"io.katacontainers.pkg.oci.container_type": "pod_sandbox"}),
        spec(**{"example.com/cdi.k8s.io/x": "nvidia.com/gpu=0"}),
    ],
)
def test_a_container_without_devices_is_accepted(given: dict[str, Any]) -> None:
    refuse_cdi_devices("c1", given)
