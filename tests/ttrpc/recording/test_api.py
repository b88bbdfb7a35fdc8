# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import pytest
from google.protobuf import empty_pb2, wrappers_pb2
from google.protobuf.descriptor_pb2 import FileDescriptorSet

from bench.ttrpc.peer_pb2 import DESCRIPTOR
from tests.helpers.recorded import API
from ttrpc.recording.api import (
    find_method,
    installed_apis,
    load_api,
    read_descriptors,
)


def descriptor_set(*files: object) -> bytes:
    found = FileDescriptorSet()
    for file in files:
        file.CopyToProto(found.file.add())  # type: ignore[attr-defined]  # no base type
    return found.SerializeToString()


def test_a_method_is_found_by_its_name() -> None:
    found = find_method([API], "peer.v1.Echo", "Len")
    assert found is not None
    assert found.method.request_type is wrappers_pb2.BytesValue
    assert find_method([API], "peer.v1.Echo", "No") is None
    assert find_method([API], "peer.v2.Echo", "Len") is None


def test_a_descriptor_set_is_an_api(tmp_path: Path) -> None:
    file = tmp_path / "peer.binpb"
    file.write_bytes(
        descriptor_set(empty_pb2.DESCRIPTOR, wrappers_pb2.DESCRIPTOR, DESCRIPTOR)
    )
    api = read_descriptors(file)
    found = find_method([api], "peer.v1.Streaming", "Sum")
    assert found is not None
    assert found.method.cardinality.client_streaming
    assert api.redact is None


@pytest.mark.parametrize("data", [b"\xff", descriptor_set(DESCRIPTOR)])
def test_a_set_without_its_imports_is_refused(tmp_path: Path, data: bytes) -> None:
    file = tmp_path / "peer.binpb"
    file.write_bytes(data)
    with pytest.raises(ValueError, match="not a descriptor set with all imports"):
        read_descriptors(file)


def test_an_api_is_loaded_by_its_name() -> None:
    assert load_api("tests.helpers.recorded:API") is API


@pytest.mark.parametrize(
    ("reference", "words"),
    [
        ("no.such:API", "No module named"),
        ("tests.helpers.recorded:NOPE", "no attribute 'NOPE'"),
        ("tests.helpers.recorded", "no attribute"),
        ("tests.helpers.recorded:redact", "not an Api"),
    ],
)
def test_a_wrong_name_is_told(reference: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        load_api(reference)


def test_the_agents_api_is_installed() -> None:
    """`python -m ttrpc tap` knows the agent's secrets without an option."""
    assert [api.name for api in installed_apis()] == ["kata"]
