# SPDX-License-Identifier: Apache-2.0
"""The words of crun and runc, as the agent passes them on."""

from __future__ import annotations

import pytest

from kata_host.client.start_failure import StartFailure, start_failure


@pytest.mark.parametrize(
    ("text", "failure"),
    [
        (
            "create failed: the file x was not found (executable file `x` not found",
            StartFailure.NOT_FOUND,
        ),
        ('exec failed: exec: "": executable file', StartFailure.NOT_FOUND),
        (
            "create failed: open executable: Permission denied",
            StartFailure.NOT_EXECUTABLE,
        ),
        (
            'create failed: unable to start: exec: "/plain": permission denied',
            StartFailure.NOT_EXECUTABLE,
        ),
        ("create failed: mount `/x`: Permission denied", None),
        ("no process", None),
    ],
)
def test_the_fault_is_told_from_the_words(
    text: str, failure: StartFailure | None
) -> None:
    assert start_failure(f"container 'c1': {text}") is failure


def test_a_hostile_message_is_read_in_one_pass() -> None:
    """A megabyte; from each beginning to the end, the search would take minutes."""
    assert start_failure(": create failed: the file " * 50_000) is None
    assert start_failure(': exec failed: exec: "x' * 50_000) is None
