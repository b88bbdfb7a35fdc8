# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from ttrpc.plugin.options import Options


def test_no_option_is_needed() -> None:
    assert Options.parse("") == Options()


def test_an_import_prefix_is_a_package() -> None:
    assert Options.parse("import_prefix=zoo.protos").import_prefix == "zoo.protos"


@pytest.mark.parametrize(
    ("parameter", "error"),
    [
        ("paths=relative", "option 'paths': unknown, there is: import_prefix"),
        ("import_prefix", "option import_prefix: no package ''"),
        ("import_prefix=a-b", "option import_prefix: no package 'a-b'"),
        ("import_prefix=a.from", "option import_prefix: no package 'a.from'"),
        ("import_prefix=a.", "option import_prefix: no package 'a.'"),
    ],
)
def test_other_options_are_refused(parameter: str, error: str) -> None:
    with pytest.raises(ValueError, match=f"^{error}$"):
        Options.parse(parameter)
