# SPDX-License-Identifier: Apache-2.0
"""The charts of the documentation, each of a section of bench/README.md.

`docs/charts.md` shows them. `python -m bench.document` draws all of them, and a
benchmark that writes its section draws that one.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from bench.chart import Chart, draw
from bench.tables import read_tables

FOLDER: Final = Path(__file__).parents[1] / "docs" / "assets" / "charts"
CHANGE: Final = "compare-"
"""What the names of sections begin with that compare two revisions."""

CHARTS: Final = {
    "ttrpc-server": Chart(
        "Servers under Go's client: calls a second", ("Go/s", "ours/s")
    ),
    "ttrpc-client": Chart("Clients on Go's server: calls a second", ("Go/s", "ours/s")),
    "ttrpc-agent": Chart(
        "The agent's Check and Go's bare echo: calls a second", ("Go/s", "ours/s")
    ),
    "ttrpc-shares": Chart(
        "Servers beside a floor in C and ttrpc-rust: calls a second",
        ("floor/s", "ttrpc-rust/s", "ours/s"),
    ),
    "ttrpc-bare": Chart(
        "Servers in Python beside a floor in C: messages a second",
        ("floor/s", "recv loop/s", "asyncio callback/s", "least server/s", "ours/s"),
    ),
    "ttrpc-pairs": Chart(
        "Client and server of each library: calls a second",
        ("grpc.aio/s", "grpclib/s", "ours/s"),
    ),
    "ttrpc-memory": Chart("Resident memory", ("Go, each", "ours, each")),
    "containers": Chart(
        "Containers by crun's command line and by the agent",
        ("crun's command line", "agent over RPC"),
    ),
    "stdio": Chart("Standard streams of containers: MiB a second", ("MiB/s",)),
    "copies": Chart("Copies: MiB a second", ("MiB/s",)),
    "boot": Chart("A VM's boot: milliseconds", ("ms",)),
    "starts": Chart(
        "The starts of VM guests: milliseconds",
        ("ready, ms", "first command has ended, ms"),
    ),
}
"""The charts by section."""


def chart_of(name: str) -> Chart | None:
    """Return the chart of a section; None if it has none."""
    if name.startswith(CHANGE):
        return Chart(f"{name.removeprefix(CHANGE)}: old and new", ("old", "new"))
    return CHARTS.get(name)


def redraw(name: str, text: str, folder: Path = FOLDER) -> None:
    """Draw the section `name`, whose text is `text`, if it has a chart and a table."""
    chart = chart_of(name)
    tables = read_tables(text)
    if chart is not None and tables:
        # A peer may have been left out (`bench.ttrpc --without`).
        measured = [it for it in chart.columns if it in tables[0].header]
        chart = Chart(chart.title, measured)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{name}.svg").write_text(draw(chart, tables[0]))
