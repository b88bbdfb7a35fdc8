# SPDX-License-Identifier: Apache-2.0
"""The log line of a call, over a real connection."""

from __future__ import annotations

import logging

import pytest
from google.protobuf.empty_pb2 import Empty

from kata_agent.errors import Ended, Internal, InvalidState
from kata_agent.rpc.log import log_interceptor
from kata_agent.rpc.status import to_status
from kata_protos import agent_pb2
from kata_protos.agent_ttrpc import AgentServiceBase, AgentServiceClient
from tests.helpers.served import served
from ttrpc.call_context import CallContext
from ttrpc.codes import Code
from ttrpc.errors import StatusError


class Signals(AgentServiceBase):
    """Fails by the number of the signal."""

    async def signal_process(
        self, request: agent_pb2.SignalProcessRequest, context: CallContext
    ) -> Empty:
        if request.signal == 1:
            raise InvalidState("container 'c1': stopped")
        if request.signal == 2:
            raise KeyError("a defect")
        if request.signal == 4:
            raise Ended("sandbox: destroyed, there are no more events")
        if request.signal == 3:
            raise Internal("container 'c1': exec failed: the file x was not found")
        return Empty()


async def call(agent: AgentServiceClient, signal: int) -> None:
    request = agent_pb2.SignalProcessRequest(
        container_id="c1", exec_id="e1", signal=signal
    )
    await agent.signal_process(request)


@pytest.fixture
def debug(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.DEBUG, "kata_agent.rpc.log")
    return caplog


async def test_the_end_of_a_sandbox_is_no_error_of_the_calls_that_wait(
    debug: pytest.LogCaptureFixture,
) -> None:
    """Both runtimes have a GetOOMEvent waiting when they destroy a sandbox."""
    async with served(Signals(), interceptors=(log_interceptor(to_status),)) as agent:
        with pytest.raises(StatusError, match="no more events") as raised:
            await call(agent, 4)
    assert raised.value.code == Code.INTERNAL
    (record,) = (each for each in debug.records if each.name.startswith("kata_agent"))
    assert (record.levelname, record.message) == ("DEBUG", "call")
    assert not [each for each in debug.records if each.levelno >= logging.WARNING]


async def test_a_call_is_one_debug_line(debug: pytest.LogCaptureFixture) -> None:
    async with served(Signals(), interceptors=(log_interceptor(to_status),)) as agent:
        await call(agent, 0)
        with pytest.raises(StatusError):
            await call(agent, 1)
    lines = [vars(record) for record in debug.records if record.message == "call"]
    assert [line["code"] for line in lines] == ["OK", "FAILED_PRECONDITION"]
    for line in lines:
        assert line["method"] == "SignalProcess"
        assert (line["container_id"], line["exec_id"]) == ("c1", "e1")
        assert line["duration_ms"] >= 0


async def test_a_defect_has_its_traceback_in_the_log_once(
    debug: pytest.LogCaptureFixture,
) -> None:
    async with served(Signals(), interceptors=(log_interceptor(to_status),)) as agent:
        with pytest.raises(StatusError) as caught:
            await call(agent, 2)
    assert caught.value.code is Code.INTERNAL
    (failed,) = [record for record in debug.records if record.exc_info]
    assert failed.levelno == logging.ERROR
    assert failed.exc_info is not None
    assert isinstance(failed.exc_info[1], KeyError)


async def test_a_failure_of_the_domain_is_one_error_line_without_a_traceback(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    reason = "container 'c1': exec failed: the file x was not found"
    async with served(Signals(), interceptors=(log_interceptor(to_status),)) as agent:
        with pytest.raises(StatusError) as caught:
            await call(agent, 3)
    assert (caught.value.code, caught.value.message) == (Code.INTERNAL, reason)
    (line,) = [vars(record) for record in caplog.records if record.name != "asyncio"]
    assert (line["message"], line["levelname"]) == ("call failed", "ERROR")
    assert (line["method"], line["code"]) == ("SignalProcess", "INTERNAL")
    assert (line["container_id"], line["exec_id"]) == ("c1", "e1")
    assert line["error"] == reason
    assert line["exc_info"] is None
