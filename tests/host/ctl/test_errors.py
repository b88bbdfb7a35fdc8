# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from kata_host.ctl.errors import (
    CommandError,
    UsageError,
    guest_errors_as_command_errors,
)
from kata_host.guest.guest import GuestError


def test_each_error_has_its_exit_status() -> None:
    assert CommandError("x").status == 1
    assert UsageError("x").status == 2


@pytest.mark.parametrize("error", [GuestError("guest 'a': gone"), OSError("gone")])
def test_an_error_of_a_guest_is_one_of_the_command(error: Exception) -> None:
    with pytest.raises(CommandError, match="gone"), guest_errors_as_command_errors():
        raise error


def test_an_error_of_the_program_stays_what_it_is() -> None:
    with pytest.raises(KeyError), guest_errors_as_command_errors():
        raise KeyError
