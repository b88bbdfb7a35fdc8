# SPDX-License-Identifier: Apache-2.0
"""Devices that a container asks for by the Container Device Interface (CDI).

CDI names devices as `nvidia.com/gpu=0` (cncf-tags/container-device-interface, SPEC.md).
This agent reads no CDI specifications, so it refuses such a container: without its
device the container would start, and fail later for a reason that nobody sees.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from kata_agent.errors import Unimplemented
from kata_agent.oci.pod import is_pause_container
from kata_agent.oci.spec import Spec

ANNOTATION: Final = "cdi.k8s.io/"
"""The prefix of the annotations whose values are devices, separated by commas."""
VARIABLE: Final = "VISIBLE_CDI_DEVICES"
"""The environment variable: `KIND=INDEX,INDEX:KIND=all`."""
NO_DEVICES: Final = frozenset({"", "none", "void"})
"""The values that ask for no device."""


def refuse_cdi_devices(container_id: str, spec: Spec) -> None:
    """Raise `Unimplemented`, with the device, if `spec` asks for a CDI device.

    The pause container of a pod never gets one: its annotations are the pod's.
    """
    if is_pause_container(spec):
        return
    for origin, devices in _requests(spec):
        if devices.strip() not in NO_DEVICES:
            raise Unimplemented(
                f"container {container_id!r}: device {devices!r} of {origin}: "
                "CDI is not supported"
            )


def _requests(spec: Spec) -> Iterator[tuple[str, str]]:
    """Yield the origin and the devices of each request."""
    for name, value in spec.get("annotations", {}).items():
        if name.startswith(ANNOTATION):
            yield f"annotation {name!r}", value
    for variable in spec["process"]["env"]:
        name, _, value = variable.partition("=")
        if name == VARIABLE:
            yield f"variable {VARIABLE}", value
