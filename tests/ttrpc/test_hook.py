# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from ttrpc.hook import call_hook, check_hooks


def test_a_hook_is_called_with_its_arguments() -> None:
    told: list[tuple[object, ...]] = []
    call_hook("first", lambda *arguments: told.append(arguments), 1, 2)
    call_hook("second", None, 1, 2)
    assert told == [(1, 2)]


def test_an_error_of_a_hook_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    for raises in ("1 / 0", "raise GeneratorExit", "raise BaseException"):
        call_hook("first", exec, raises)
    assert caplog.messages == ["first hook failed"] * 3
    with pytest.raises(KeyboardInterrupt):
        call_hook("second", lambda: exec("raise KeyboardInterrupt"))


def test_hooks_are_plain_functions() -> None:
    async def awaited() -> None:
        pass

    check_hooks(first=None, second=lambda: None)
    with pytest.raises(TypeError, match="^third: .* must be a plain function$"):
        check_hooks(first=None, third=awaited)
