# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from kata_host.ctl.errors import (
    CommandError,
    ProgramError,
    UsageError,
    guest_errors_as_command_errors,
)
from kata_host.guest.guest import GuestError


def test_each_error_has_its_exit_status() -> None:
    assert CommandError("x").status == 1
    assert UsageError("x").status == 2


@pytest.mark.parametrize(
    ("text", "status"),
    [
        ("create failed: the file x was not found (executable file `x` not found", 127),
        ('exec failed: exec failed: unable to start: exec: "": executable file', 127),
        ("create failed: open executable: Permission denied", 126),
        ("exec failed: open executable: Operation not permitted", 126),
        ('create failed: unable to start: exec: "/plain": permission denied', 126),
        ("create failed: mount `/x`: Permission denied", 125),
        ("exec failed: no process", 125),
        ("not found", 125),
    ],
)
def test_a_program_that_cannot_be_run_has_the_status_that_docker_gives_it(
    text: str, status: int
) -> None:
    """The words of crun and runc, as the agent passes them on."""
    error = ProgramError(f"INTERNAL: container 'c1': {text}")
    assert (error.run_status, error.status) == (status, 1)


@pytest.mark.parametrize("error", [GuestError("guest 'a': gone"), OSError("gone")])
def test_an_error_of_a_guest_is_one_of_the_command(error: Exception) -> None:
    with pytest.raises(CommandError, match="gone"), guest_errors_as_command_errors():
        raise error


def test_an_error_of_the_program_stays_what_it_is() -> None:
    with pytest.raises(KeyError), guest_errors_as_command_errors():
        raise KeyError
