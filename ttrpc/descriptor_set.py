# SPDX-License-Identifier: Apache-2.0
"""Services out of the descriptor sets that protoc writes."""

from __future__ import annotations

from google.protobuf.descriptor_pb2 import FileDescriptorSet
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import DecodeError

from ttrpc.service import Service


def parse_services(data: bytes) -> dict[str, Service]:
    """Parse what `protoc --include_imports --descriptor_set_out` writes.

    The services are by full name. Their messages are in a pool of their own, so they
    meet no messages that the program has loaded.

    Raises:
        ValueError: the data is no descriptor set.
    """
    pool = DescriptorPool()
    services = {}
    try:
        for file in FileDescriptorSet.FromString(data).file:
            pool.Add(file)
            for service in file.service:
                full_name = f"{file.package}.{service.name}".lstrip(".")
                services[full_name] = Service.from_descriptor(
                    pool.FindServiceByName(full_name)
                )
    except (DecodeError, TypeError, KeyError) as exc:
        raise ValueError(f"not a descriptor set with all imports: {exc}") from exc
    return services
