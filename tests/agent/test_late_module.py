# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from kata_agent.late_module import LateModule

NAME = "a_module_of_this_test"


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path / f"{NAME}.py"
    sys.modules.pop(NAME, None)


def test_the_import_waits_for_the_first_name_that_is_needed(module: Path) -> None:
    LateModule.install(NAME)
    import a_module_of_this_test as late  # type: ignore[import-not-found]

    module.write_text("value = 7")
    assert not hasattr(late, "__path__")
    assert sys.modules[NAME] is late
    assert late.value == 7
    assert sys.modules[NAME] is not late
    from a_module_of_this_test import value

    assert value == 7
    with pytest.raises(AttributeError, match="nothing"):
        _ = late.nothing


def test_a_module_that_is_there_stays() -> None:
    LateModule.install("sys")
    assert sys.modules["sys"] is sys


def test_threads_that_meet_have_the_whole_module(module: Path) -> None:
    """One of them is in the middle of the import when the other looks for a name."""
    sys.begun, sys.go_on = threading.Event(), threading.Event()  # type: ignore[attr-defined]
    module.write_text("import sys\nsys.begun.set()\nsys.go_on.wait()\nvalue = 7")
    LateModule.install(NAME)
    late = sys.modules[NAME]
    found: list[int] = []
    threads = [
        threading.Thread(target=lambda: found.append(late.value)) for _ in range(2)
    ]
    try:
        threads[0].start()
        sys.begun.wait()  # type: ignore[attr-defined]
        threads[1].start()
        sys.go_on.set()  # type: ignore[attr-defined]
        for thread in threads:
            thread.join()
    finally:
        del sys.begun, sys.go_on  # type: ignore[attr-defined]
    assert found == [7, 7]
