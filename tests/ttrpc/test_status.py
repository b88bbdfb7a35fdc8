# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from ttrpc.codes import Code
from ttrpc.errors import Closed, OversizedMessage, StatusError
from ttrpc.status import to_status


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
