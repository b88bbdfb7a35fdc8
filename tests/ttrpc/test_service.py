# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest
from google.protobuf.wrappers_pb2 import BytesValue, UInt64Value

from bench.ttrpc.peer_pb2 import DESCRIPTOR
from ttrpc.codes import Code
from ttrpc.service import Cardinality, Service, python_name, unimplemented

DESCRIPTOR_OF_ECHO = DESCRIPTOR.services_by_name["Echo"]
ECHO = Service.from_descriptor(DESCRIPTOR_OF_ECHO)


def test_a_service_is_read_from_its_descriptor() -> None:
    assert ECHO.name == "peer.v1.Echo"
    method = ECHO.methods["Upload"]
    assert method.full_method == "/peer.v1.Echo/Upload"
    assert method.cardinality is Cardinality.STREAM_UNARY
    assert method.request_type is BytesValue
    assert method.response_type is UInt64Value


@pytest.mark.parametrize(
    ("name", "python"),
    [
        ("Check", "check"),
        ("GetOOMEvent", "get_oom_event"),
        ("AddARPNeighbors", "add_arp_neighbors"),
        ("GetIPTables", "get_ip_tables"),
        ("Import", "import_"),
        ("already_snake", "already_snake"),
    ],
)
def test_handlers_have_names_as_python_has_them(name: str, python: str) -> None:
    assert python_name(name) == python


def test_unimplemented_says_so_in_gos_words() -> None:
    error = unimplemented("Echo")
    assert (error.code, error.message) == (Code.UNIMPLEMENTED, "method Echo")
