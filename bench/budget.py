# SPDX-License-Identifier: Apache-2.0
"""Start-up and memory of `kata-agent`, against the budget and the kept figures.

    python -m bench.budget            measure, print, fail on a regression
    python -m bench.budget --write    the same, and keep the figures

Start-up is the time from exec to the first answered `Check`. The bare interpreter is
started in turn with the agent, and the ratio of the two is compared with the kept
ratio, because machines differ. Memory is VmRSS after that `Check`. The agent runs as in
the guest image: by Debian's Python, isolated, without `site` and without docstrings.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from bench import memory
from bench.document import replace_section
from bench.stage import resident
from kata_host.child import PACKAGES
from ttrpc.envelope_pb2 import Request
from ttrpc.frame import Frame, MessageType

ROOT: Final = Path(__file__).parents[1]
KEPT: Final = Path(__file__).with_name("budget.json")
ROUNDS: Final = 15
START_BUDGET_MS: Final = 100.0
MEMORY_BUDGET_MIB: Final = 22.0
TOLERANCE: Final = 1.10
FLAGS: Final = ("-I", "-S", "-OO")
PYTHON: Final = "/usr/bin/python3"


@dataclass(frozen=True, slots=True)
class Figures:
    """Medians, in milliseconds and MiB."""

    bare_ms: float
    start_ms: float
    memory_mib: float
    worked_mib: float
    """After 100 containers."""
    traced_mib: float
    """After 100 more, with tracing on."""

    @property
    def ratio(self) -> float:
        return self.start_ms / self.bare_ms


def agent_command(python: str) -> list[str]:
    packages = next(path for path in sys.path if path.endswith("site-packages"))
    program = (
        f"import sys; sys.path[:0] = [{os.fspath(PACKAGES)!r}, {packages!r}]; "
        "from kata_agent.__main__ import main; sys.exit(main())"
    )
    return [python, *FLAGS, "-c", program]


def measure_bare(python: str) -> float:
    began = time.perf_counter()
    subprocess.run([python, *FLAGS, "-c", "pass"], check=True)
    return (time.perf_counter() - began) * 1000


def measure_agent(python: str, directory: Path) -> tuple[float, float]:
    """Return the milliseconds to the first answered Check, and VmRSS in MiB then."""
    path = directory / "agent.sock"
    path.unlink(missing_ok=True)
    body = Request(service="grpc.Health", method="Check").SerializeToString()
    check = Frame(1, MessageType.REQUEST, 0, body).serialize()
    environment = {**os.environ}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    began = time.perf_counter()
    with subprocess.Popen(
        [*agent_command(python), "--listen", f"unix://{path}"],
        stdout=subprocess.DEVNULL,
        env=environment,
    ) as agent:
        try:
            with connect(path, agent) as client:
                client.sendall(check)
                assert client.recv(64)
                elapsed = (time.perf_counter() - began) * 1000
            return elapsed, resident(agent.pid) / 2**20
        finally:
            agent.terminate()


def connect(path: Path, agent: subprocess.Popen[bytes]) -> socket.socket:
    while agent.poll() is None:
        client = socket.socket(socket.AF_UNIX)
        try:
            client.connect(os.fspath(path))
            return client
        except OSError:
            client.close()
            time.sleep(0.0005)
    raise ChildProcessError(f"agent ended with status {agent.returncode}")


def measure(python: str) -> Figures:
    with tempfile.TemporaryDirectory() as directory:
        # The first agent may have to compile modules.
        measure_agent(python, Path(directory))
        bare, agent = [], []
        for _ in range(ROUNDS):
            bare.append(measure_bare(python))
            agent.append(measure_agent(python, Path(directory)))
    worked = memory.measure(agent_command(python))
    return Figures(
        round(statistics.median(bare), 1),
        round(statistics.median(start for start, _ in agent), 1),
        round(statistics.median(resident for _, resident in agent), 1),
        worked.after_containers,
        worked.with_tracing,
    )


def table(now: Figures) -> str:
    return "\n".join(
        [
            "| | measured | budget |",
            "|---|---|---|",
            f"| bare interpreter, start to end | {now.bare_ms} ms | |",
            f"| exec to the first answered `Check` | {now.start_ms} ms, "
            f"{now.ratio:.1f} times bare | {START_BUDGET_MS:g} ms |",
            f"| resident then | {now.memory_mib} MiB | {MEMORY_BUDGET_MIB:g} MiB |",
            f"| resident after {memory.CONTAINERS} containers "
            f"| {now.worked_mib} MiB | |",
            f"| resident after as many more with tracing on | {now.traced_mib} MiB | |",
        ]
    )


def regressions(now: Figures, kept: Figures) -> list[str]:
    found = []
    if now.start_ms > START_BUDGET_MS:
        found.append(f"start-up: {now.start_ms} ms, budget {START_BUDGET_MS:g} ms")
    if now.memory_mib > MEMORY_BUDGET_MIB:
        found.append(f"memory: {now.memory_mib} MiB, budget {MEMORY_BUDGET_MIB:g} MiB")
    if now.ratio > kept.ratio * TOLERANCE:
        found.append(f"start-up: {now.ratio:.1f} times bare, kept {kept.ratio:.1f}")
    for name, mib, kept_mib in (
        ("memory", now.memory_mib, kept.memory_mib),
        ("memory after containers", now.worked_mib, kept.worked_mib),
        ("memory with tracing on", now.traced_mib, kept.traced_mib),
    ):
        if mib > kept_mib * TOLERANCE:
            found.append(f"{name}: {mib} MiB, kept {kept_mib} MiB")
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--write", action="store_true", help="keep the figures")
    parser.add_argument("--python", default=PYTHON, help="the interpreter")
    options = parser.parse_args()
    now = measure(options.python)
    print(table(now))
    if options.write:
        KEPT.write_text(json.dumps(asdict(now), indent=2) + "\n")
        replace_section("budget", table(now))
    found = regressions(now, Figures(**json.loads(KEPT.read_text())))
    for line in found:
        print(line, file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
