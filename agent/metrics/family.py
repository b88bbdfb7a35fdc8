# SPDX-License-Identifier: Apache-2.0
"""A metric family: a name, and its values by labels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Family:
    """All samples of one metric."""

    name: str
    help: str
    """One line for people, the page's `# HELP`."""
    samples: list[tuple[dict[str, str], float]]
    """Labels and value of each sample."""
    kind: str = "gauge"
    """A type of Prometheus, the page's `# TYPE`."""


def items(
    name: str,
    help: str,
    values: Mapping[str, float],
    *,
    kind: str = "gauge",
    **labels: str,
) -> Family:
    """Return a family with one sample for each of `values`, whose key is the label
    `item`."""
    return Family(
        name,
        help,
        [({**labels, "item": item}, value) for item, value in values.items()],
        kind,
    )


def merged(families: list[Family]) -> Family:
    """Return the samples of several families of one name as one family."""
    first = families[0]
    samples = [sample for family in families for sample in family.samples]
    return Family(first.name, first.help, samples, first.kind)
