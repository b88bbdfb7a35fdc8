# SPDX-License-Identifier: Apache-2.0
"""Errors that get the request's words for what they are about."""

from __future__ import annotations

import errno
import os

import pytest

from kata_agent.errors import InvalidArgument, ResourceExhausted
from kata_agent.rpc.subject import with_subject
from kata_protos import agent_pb2, oci_pb2


def test_an_exhausted_resource_names_the_container() -> None:
    error = with_subject(
        OSError(errno.EMFILE, os.strerror(errno.EMFILE)),
        agent_pb2.StartContainerRequest(container_id="a1"),
    )
    assert isinstance(error, ResourceExhausted)
    assert str(error) == "container 'a1': the agent has no free file descriptor"


def test_without_a_container_the_resource_is_enough() -> None:
    error = with_subject(MemoryError(), agent_pb2.GetMetricsRequest())
    assert isinstance(error, ResourceExhausted)
    assert str(error) == "the guest has no free memory"


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        (agent_pb2.CopyFileRequest(path="/a\0"), "path"),
        (
            agent_pb2.CreateContainerRequest(
                OCI=oci_pb2.Spec(Mounts=[{}, {"options": ["ro", "\0"]}])
            ),
            "OCI.Mounts[1].options[1]",
        ),
        (
            agent_pb2.CreateContainerRequest(
                OCI=oci_pb2.Spec(Annotations={"a": "b\0", "c": "d"})
            ),
            "OCI.Annotations['a']",
        ),
    ],
)
def test_a_nul_names_its_field(request_: object, field: str) -> None:
    for words in ("embedded null byte", "embedded null character"):
        error = with_subject(ValueError(words), request_)
        assert isinstance(error, InvalidArgument)
        assert str(error) == f"{field}: a NUL character"


@pytest.mark.parametrize(
    "error", [ValueError("x"), OSError(errno.EIO, "x"), ResourceExhausted("x")]
)
def test_other_errors_stay_as_they_are(error: Exception) -> None:
    assert with_subject(error, agent_pb2.GetMetricsRequest()) is error
