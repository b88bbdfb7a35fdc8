# SPDX-License-Identifier: Apache-2.0
"""The Go library's client, through every scenario, on our server and on its own."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from bench.ttrpc.peers import GO, OURS, python_peer
from tests.helpers.interop import ROOT, SOURCES, go_peer
from ttrpc.sync import Client

pytestmark = [pytest.mark.interop, pytest.mark.timeout(300)]

SCENARIOS: Final = sorted(
    name
    for source in ("unary.go", "streams.go")
    for name in re.findall(
        r'^\t"(\w+)": ', (SOURCES / "check" / source).read_text(), re.MULTILINE
    )
)
FAULTS_OF_GO: Final = {
    "response_over_limit": "closes the connection instead of failing the call",
}
"""Scenarios in which our server does better than Go's; they ask for our behaviour."""

DIFFERENCES: Final = {"code_unknown": "code: got Unknown, want Code(99)"}
"""Go passes any number on; ours sends UNKNOWN, because ttrpc-rust takes 99 for OK."""

NOT_PASSED_ON: Final = ("close_cancels", "stream_close_cancels")
"""The protocol cannot cancel a call, so a proxy cannot pass on that its client left."""


@pytest.fixture(scope="module")
def servers(
    go_programs: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, str]]:
    directory = tmp_path_factory.mktemp("peers")
    addresses = {name: str(directory / f"{name}.sock") for name in (GO, OURS)}
    with go_peer(go_programs, addresses[GO]), python_peer(addresses[OURS]):
        yield addresses


def play(programs: Path, address: str, *names: str) -> dict[str, str]:
    """Return the fault found in each scenario, "" if there is none."""
    done = subprocess.run(
        [programs / "check", "-addr", address, *names],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    outcomes = map(json.loads, done.stdout.splitlines())
    return {outcome["name"]: outcome["error"] for outcome in outcomes}


def test_the_list_is_the_programs(go_programs: Path) -> None:
    listed = subprocess.check_output([go_programs / "check", "-list"], text=True)
    assert listed.split() == SCENARIOS


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_our_server(scenario: str, servers: dict[str, str], go_programs: Path) -> None:
    expected = DIFFERENCES.get(scenario, "")
    assert play(go_programs, servers[OURS], scenario) == {scenario: expected}


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_go_server(scenario: str, servers: dict[str, str], go_programs: Path) -> None:
    """The scenarios ask for the behaviour of Go's own server."""
    error = play(go_programs, servers[GO], scenario)[scenario]
    assert bool(error) == (scenario in FAULTS_OF_GO), error


def test_a_proxy_of_ours(go_programs: Path, servers: dict[str, str]) -> None:
    """The proxy example in front of our server, which it knows nothing of."""
    front = str(Path(servers[OURS]).with_name("proxy.sock"))
    process = subprocess.Popen(
        [
            *(sys.executable, "ttrpc_proxy.py"),
            *(f"unix://{front}", f"unix://{servers[OURS]}"),
        ],
        cwd=ROOT / "examples",
        stdout=subprocess.DEVNULL,
    )
    with process:
        Client.connect(f"unix://{front}", timeout=60).close()
        names = [name for name in SCENARIOS if name not in NOT_PASSED_ON]
        outcomes = play(go_programs, front, *names)
        process.terminate()
    assert outcomes == {name: DIFFERENCES.get(name, "") for name in names}
