# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from kata_host.recording.api import API, READS
from ttrpc.recording.api import find_method


@pytest.mark.parametrize("name", READS)
def test_the_fields_that_runtimes_read_exist(name: str) -> None:
    services = ("grpc.AgentService", "grpc.Health")
    (known,) = filter(None, (find_method([API], each, name) for each in services))
    for path in (*READS[name].values, *READS[name].present):
        descriptor = known.method.response_type.DESCRIPTOR
        for step in path.split("."):
            field = descriptor.fields_by_name[step]
            descriptor = field.message_type
