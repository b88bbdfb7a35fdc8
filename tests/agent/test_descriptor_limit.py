# SPDX-License-Identifier: Apache-2.0
"""The descriptors of the agent and of its containers, in a local guest."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from bench.stage import open_stage
from kata_agent.descriptor_limit import DescriptorLimit
from kata_agent.oci import privileges
from kata_agent.oci.privileges import fit_privileges
from kata_agent.system_paths import SystemPaths
from kata_host.client.spec import default_process

SOFT, HARD, EXECS = 64, 2048, 40


@pytest.mark.root
async def test_an_agent_has_more_than_it_is_given_and_containers_have_that() -> None:
    limit = f"ulimit -Sn {SOFT}; ulimit -Hn {HARD}"
    # The guest appends the agent's address.
    command = ["sh", "-c", f'{limit}; exec "$0" -m kata_agent "$@"', sys.executable]
    async with open_stage(command) as stage:
        spec = stage.spec("c1", "sleep", "1000")
        del spec.Process.Rlimits[:]
        container = await stage.client.create_container("c1", spec)
        await container.start()
        # Each has five descriptors of the agent, which a limit of SOFT would not allow.
        for number in range(EXECS):
            await container.exec(f"e{number}", default_process(["sleep", "1000"]))
        program = default_process(["sh", "-c", "ulimit -Sn; ulimit -Hn"])
        del program.Rlimits[:]
        process = await container.exec("last", program)
        result = await process.communicate()
        assert result.stdout.split() == [b"%d" % SOFT, b"%d" % HARD]
        await container.remove()


@pytest.mark.parametrize(
    ("given", "kinds"),
    [
        ([], ["RLIMIT_NOFILE"]),
        ([("RLIMIT_CORE", 1)], ["RLIMIT_CORE", "RLIMIT_NOFILE"]),
        ([("RLIMIT_NOFILE", 7)], ["RLIMIT_NOFILE"]),
    ],
)
def test_a_limit_that_the_host_asks_for_stays(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    given: list[tuple[str, int]],
    kinds: list[str],
) -> None:
    inherited = DescriptorLimit(5, 6)
    monkeypatch.setattr(privileges, "inherited_limit", lambda: inherited)
    limits = [{"type": kind, "soft": n, "hard": n} for kind, n in given]
    process: dict[str, Any] = {"rlimits": limits, "oomScoreAdj": 0}
    fit_privileges(process, "c1", SystemPaths(sys=tmp_path))
    assert [limit["type"] for limit in process["rlimits"]] == kinds
    soft = {limit["type"]: limit["soft"] for limit in process["rlimits"]}
    assert soft["RLIMIT_NOFILE"] == dict(given).get("RLIMIT_NOFILE", 5)
