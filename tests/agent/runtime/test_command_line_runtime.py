# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
from pathlib import Path

import pytest

from kata_agent.errors import InvalidArgument
from kata_agent.reaper import Reaper
from kata_agent.runtime.command_line_runtime import to_reason
from kata_agent.runtime.registry import to_runtime
from tests.helpers.namespace import World, in_namespaces


@pytest.mark.parametrize(
    ("message", "file"),
    [
        (r"executable file `/bin/x` not found: No such file or directory", "/bin/x"),
        (r"executable file `x` not found in $PATH: No such file", "x"),
        (r"exec: \"x\": executable file not found in $PATH", "x"),
        (r"exec: \"/bin/x\": stat /bin/x: no such file or directory", "/bin/x"),
    ],
)
def test_a_missing_program_is_said_as_runtimes_expect(message: str, file: str) -> None:
    log = f'{{"level":"error","msg":"{message}","time":"t"}}\n'
    assert to_reason(log.encode()).startswith(f"the file {file} was not found (")


def test_only_failures_and_what_is_no_json() -> None:
    log = (
        b'{"level":"warning","msg":"careful"}\n{"msg":"one","level":"error"}\n'
        b'\xff plain\n{"msg":"two"}\n[1]\n'
    )
    assert to_reason(log) == "one; \ufffd plain; two"
    assert to_reason(b"") == ""
    nested = json.dumps({"msg": json.dumps({"msg": "why", "level": "error"})})
    assert to_reason(nested.encode()) == "why"
    assert to_reason(b'{"msg": "7"}') == "7"


def test_unknown_runtimes_are_named() -> None:
    with pytest.raises(InvalidArgument, match="runtime 'youki': not one of crun, runc"):
        to_runtime("youki", reaper=None, state=Path("/"))  # type: ignore[arg-type]


@in_namespaces("v1", "v2")
async def test_deleting_what_is_not_there_by_force_is_fine(world: World) -> None:
    with Reaper() as reaper:
        for name in ("crun", "runc"):
            state = Path(f"/run/{name}")
            runtime = to_runtime(name, reaper=reaper, state=state)
            await runtime.delete("c1", force=True)
            with pytest.raises(Exception, match="container 'c1': delete failed"):
                await runtime.delete("c1")
