# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from ttrpc.codes import Code
from ttrpc.errors import Closed, OversizedMessage, RemoteProtocolError, StatusError
from ttrpc.status import code_of, to_status


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (TimeoutError("late"), Code.DEADLINE_EXCEEDED, "late"),
        (Closed("gone"), Code.UNAVAILABLE, "gone"),
        (NotImplementedError("no"), Code.UNIMPLEMENTED, "no"),
        (ValueError("bad"), Code.UNKNOWN, "bad"),
        (ValueError(), Code.UNKNOWN, "ValueError"),
    ],
)
def test_an_exception_of_a_handler_has_a_status(
    error: Exception, code: Code, message: str
) -> None:
    status = to_status(error)
    assert (status.code, status.message) == (code, message)


@pytest.mark.parametrize(
    "error", [StatusError(Code.ABORTED, "x"), OversizedMessage(1, 5, 4)]
)
def test_a_status_is_passed_on_as_it_is(error: StatusError) -> None:
    assert to_status(error) is error


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (StatusError(Code.ABORTED, "x"), Code.ABORTED),
        (OversizedMessage(1, 5, 4), Code.RESOURCE_EXHAUSTED),
        (Closed("gone"), Code.UNAVAILABLE),
        (RemoteProtocolError("bad"), Code.INTERNAL),
        (ValueError("bad"), Code.UNKNOWN),
        (KeyboardInterrupt(), Code.CANCELLED),
    ],
)
def test_an_exception_of_a_call_has_a_code(error: BaseException, code: Code) -> None:
    assert code_of(error) == code
