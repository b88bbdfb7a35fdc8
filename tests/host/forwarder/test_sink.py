# SPDX-License-Identifier: Apache-2.0
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceResponse,
)

from kata_host.forwarder.sink import TAKEN, TRY_AGAIN, BatchResponse


@pytest.mark.parametrize(
    ("status", "success"), [(200, True), (204, True), (199, False), (300, False)]
)
def test_a_status_of_two_hundred_is_success(status: int, success: bool) -> None:
    assert BatchResponse(status).is_success == success


def test_a_status_has_its_reason_phrase() -> None:
    assert BatchResponse(404).reason == "Not Found"
    assert BatchResponse(799).reason == "Unknown"


def test_the_two_that_the_forwarder_makes_itself() -> None:
    assert TAKEN.is_success
    full_success = ExportTraceServiceResponse.FromString(TAKEN.body)
    assert not full_success.HasField("partial_success")
    assert not TRY_AGAIN.is_success
    assert TRY_AGAIN.headers == {"Retry-After": "1"}
