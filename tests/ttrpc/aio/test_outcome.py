# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import asyncio

import pytest

from tests.helpers.peer import ECHO
from ttrpc.aio.outcome import outcome_of
from ttrpc.call_context import CallContext
from ttrpc.codes import Code
from ttrpc.errors import StatusError
from ttrpc.status import to_status

CONTEXT = CallContext(ECHO["Echo"], 1)


def no_end(error: BaseException) -> None:
    raise AssertionError("ends the program")


def shown(status: StatusError) -> tuple[Code | int, str]:
    return status.code, status.message


def test_a_cancelled_handler_has_gos_text(caplog: pytest.LogCaptureFixture) -> None:
    status = outcome_of(asyncio.CancelledError(), CONTEXT, to_status, no_end)
    assert shown(status) == (Code.CANCELLED, "context canceled")
    assert not caplog.records


def test_an_error_without_a_status_is_logged_with_its_method(
    caplog: pytest.LogCaptureFixture,
) -> None:
    error = KeyError("secret")
    status = outcome_of(error, CONTEXT, to_status, no_end)
    assert shown(status) == (Code.UNKNOWN, "'secret'")
    (record,) = caplog.records
    assert record.message == "handler failed"
    assert vars(record)["method"] == "/peer.v1.Echo/Echo"
    assert record.exc_info is not None
    assert record.exc_info[1] is error


def test_an_error_that_the_mapping_knows_is_not_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    missing = StatusError(Code.NOT_FOUND, "no such file")
    status = outcome_of(
        FileNotFoundError(2, "x"), CONTEXT, lambda error: missing, no_end
    )
    assert shown(status) == (Code.NOT_FOUND, "no such file")
    assert not caplog.records


def test_a_status_of_ok_is_no_success() -> None:
    status = outcome_of(StatusError(Code.OK, "fine"), CONTEXT, to_status, no_end)
    assert shown(status) == (Code.UNKNOWN, "fine")


def test_a_mapping_that_fails_is_logged_and_leaves_the_errors_name(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def fail(error: BaseException) -> StatusError:
        raise RuntimeError("mapping")

    status = outcome_of(ValueError("x"), CONTEXT, fail, no_end)
    assert shown(status) == (Code.UNKNOWN, "ValueError")
    assert caplog.messages == ["status_of failed", "handler failed"]


@pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt])
def test_a_mapping_may_end_the_program(kind: type[BaseException]) -> None:
    def fail(error: BaseException) -> StatusError:
        raise kind

    ends: list[BaseException] = []
    status = outcome_of(ValueError("x"), CONTEXT, fail, ends.append)
    assert shown(status) == (Code.UNKNOWN, "ValueError")
    assert [type(it) for it in ends] == [kind]
    # An error of the handler that ends the program is its session's to raise.
    outcome_of(kind(), CONTEXT, fail, no_end)
