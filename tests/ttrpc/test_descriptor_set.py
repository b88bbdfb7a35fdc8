# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorSet

from tests.helpers.protoc import PEER, request_for
from ttrpc.descriptor_set import parse_services


def test_services_are_by_full_name() -> None:
    data = FileDescriptorSet(file=request_for(PEER).proto_file).SerializeToString()
    services = parse_services(data)
    assert sorted(services) == ["peer.v1.Echo", "peer.v1.Streaming"]
    method = services["peer.v1.Echo"].methods["Echo"]
    assert method.full_method == "/peer.v1.Echo/Echo"
    assert method.request_type(value=b"a").value == b"a"


@pytest.mark.parametrize("data", [b"junk", None])
def test_other_data_is_refused(data: bytes | None) -> None:
    if data is None:
        whole = request_for(PEER).proto_file
        lone = FileDescriptorSet(file=[it for it in whole if it.name == PEER])
        data = lone.SerializeToString()
    with pytest.raises(ValueError, match="^not a descriptor set with all imports: "):
        parse_services(data)
