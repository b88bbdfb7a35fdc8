# SPDX-License-Identifier: Apache-2.0
"""The table of options: each sets fields of `Config` that exist."""

from __future__ import annotations

import pytest

from kata_agent.options.config import Config
from kata_agent.options.table import FLAGS, LEVELS, OPTIONS, TRACES, WITHOUT_EFFECT

FIELDS = set(Config._fields)
VALUES = ("1", "true", "info", "isolated", "otlp", "all", "10s", "x")


@pytest.mark.parametrize("name", OPTIONS)
def test_an_option_sets_fields_of_the_configuration(name: str) -> None:
    changes = {}
    for value in VALUES:
        try:
            changes |= OPTIONS[name](value)
        except ValueError:
            continue
    # `agent.use_vsock` changes nothing, because vsock is always used.
    assert changes or name == "agent.use_vsock"
    assert set(changes) <= FIELDS


@pytest.mark.parametrize("name", FLAGS)
def test_a_flag_sets_fields_of_the_configuration(name: str) -> None:
    assert FLAGS[name]
    assert set(FLAGS[name]) <= FIELDS


def test_an_option_without_effect_is_no_other_option() -> None:
    assert not WITHOUT_EFFECT & (OPTIONS.keys() | FLAGS.keys())


def test_the_error_of_a_refused_value_has_the_choices() -> None:
    for name, choices in (("agent.log", LEVELS), ("agent.trace", TRACES)):
        with pytest.raises(ValueError, match="^not one of ") as caught:
            OPTIONS[name]("nope")
        assert str(caught.value) == f"not one of {', '.join(choices)}"
