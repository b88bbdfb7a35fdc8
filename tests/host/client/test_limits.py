# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from kata_host.client.limits import Limits
from kata_protos import oci_pb2


def resources_of(limits: Limits) -> oci_pb2.LinuxResources:
    resources = oci_pb2.LinuxResources()
    limits.set_in(resources)
    return resources


def test_limits_become_resources_of_the_container() -> None:
    resources = resources_of(Limits(memory="64m", cpus=0.5, pids=32))
    assert resources.Memory.Limit == resources.Memory.Swap == 64 << 20
    assert (resources.CPU.Quota, resources.CPU.Period) == (50_000, 100_000)
    assert resources.Pids.Limit == 32


def test_what_has_no_limit_is_left_out() -> None:
    assert resources_of(Limits()) == oci_pb2.LinuxResources()
    assert not resources_of(Limits(pids=1)).HasField("Memory")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("memory", 0),
        ("memory", "0"),
        ("memory", -1),
        ("memory", 2**63),
        ("cpus", 0),
        ("cpus", -1),
        ("cpus", float("nan")),
        ("cpus", float("inf")),
        ("pids", 0),
        ("pids", -1),
        ("pids", 2**63),
    ],
)
def test_a_limit_that_no_kernel_takes_is_refused(name: str, value: object) -> None:
    with pytest.raises(ValueError, match=f"^{name} "):
        Limits(**{name: value})  # type: ignore[arg-type]
