# SPDX-License-Identifier: Apache-2.0
"""A metric family, as the readers of /proc give it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Family:
    """A name, and values by their labels."""

    name: str
    help: str
    samples: list[tuple[dict[str, str], float]]
    kind: str = "gauge"


def items(name: str, help: str, values: Mapping[str, float], **labels: str) -> Family:
    """Return a family whose samples differ in the label `item`."""
    return Family(
        name,
        help,
        [({**labels, "item": item}, value) for item, value in values.items()],
    )


def merged(families: list[Family]) -> Family:
    """Return one family of several that have the same name."""
    first = families[0]
    samples = [sample for family in families for sample in family.samples]
    return Family(first.name, first.help, samples, first.kind)
