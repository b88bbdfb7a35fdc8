# SPDX-License-Identifier: Apache-2.0
"""The command line of a runtime: a program that writes down how it was called."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from kata_agent.errors import Internal
from kata_agent.reaper import Reaper
from kata_agent.runtime.runtime import Runtime
from kata_agent.runtime.standard_files import StandardFiles

# Stands for crun: it keeps its arguments, and the files that it is given by path.
PROGRAM = """#!/bin/sh
here=$(dirname "$0")
echo "$@" >> "$here/calls"
while [ $# -gt 0 ]; do
    case $1 in
        --log) log=$2 ;;
        --pid-file) sleep 1000 >/dev/null 2>&1 & echo $! > "$2" ;;
        --process | --resources) cat "$2" > "$here/document" ;;
    esac
    shift
done
if [ -e "$here/complaint" ]; then cat "$here/complaint" > "$log"; fi
exit $(cat "$here/status" 2>/dev/null || echo 0)
"""


@pytest.fixture
async def reaper() -> Iterator[Reaper]:
    with Reaper() as reaper:
        yield reaper


@pytest.fixture
def program(tmp_path: Path) -> Path:
    program = tmp_path / "runtime"
    program.write_text(PROGRAM)
    program.chmod(0o755)
    return program


def last_call(program: Path) -> list[str]:
    """Return the arguments from the verb on."""
    words = (program.parent / "calls").read_text().splitlines()[-1].split()
    return words[words.index("json") + 1 :]


async def test_a_created_process_is_adopted(
    reaper: Reaper, program: Path, tmp_path: Path
) -> None:
    state = tmp_path / "state"
    runtime = Runtime(str(program), reaper=reaper, state=state)
    child = await runtime.create("c1", Path("/bundle"), StandardFiles())
    assert child.exit_code is None
    child.send_signal(9)
    assert await child.wait() == 137
    call = last_call(program)
    assert call[:3] == ["create", "--bundle", "/bundle"]
    assert call[-1] == "c1"
    assert "--console-socket" not in call
    # The pid file is gone.
    assert list(state.iterdir()) == []


async def test_a_terminal_is_sent_to_the_console_socket(
    reaper: Reaper, program: Path, tmp_path: Path
) -> None:
    runtime = Runtime(str(program), reaper=reaper, state=tmp_path / "state")
    files = StandardFiles(console=Path("/run/console"))
    child = await runtime.create("c1", Path("/bundle"), files)
    child.send_signal(9)
    await child.wait()
    call = last_call(program)
    assert call[call.index("--console-socket") + 1] == "/run/console"


async def test_a_root_that_cannot_be_pivoted_is_not(
    reaper: Reaper, program: Path, tmp_path: Path
) -> None:
    runtime = Runtime(
        str(program), reaper=reaper, state=tmp_path / "state", pivot_root=False
    )
    child = await runtime.create("c1", Path("/bundle"), StandardFiles())
    child.send_signal(9)
    await child.wait()
    assert "--no-pivot" in last_call(program)


async def test_exec_and_update_pass_their_document_by_path(
    reaper: Reaper, program: Path, tmp_path: Path
) -> None:
    runtime = Runtime(str(program), reaper=reaper, state=tmp_path / "state")
    child = await runtime.exec("c1", {"args": ["true"]}, StandardFiles())
    child.send_signal(9)
    await child.wait()
    assert (tmp_path / "document").read_text() == '{"args": ["true"]}'
    await runtime.update("c1", {"pids": {"limit": 3}})
    assert (tmp_path / "document").read_text() == '{"pids": {"limit": 3}}'
    assert last_call(program)[-1] == "c1"


async def test_a_failure_gives_the_reason_of_the_log(
    reaper: Reaper, program: Path, tmp_path: Path
) -> None:
    runtime = Runtime(str(program), reaper=reaper, state=tmp_path / "state")
    (tmp_path / "status").write_text("3")
    with pytest.raises(Internal, match="^container 'c1': start failed: status 3$"):
        await runtime.start("c1")
    (tmp_path / "complaint").write_text('{"level": "error", "msg": "no cgroup"}\n')
    with pytest.raises(Internal, match="^container 'c1': start failed: no cgroup$"):
        await runtime.start("c1")


async def test_a_delete_that_complains_is_logged(
    reaper: Reaper, program: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    runtime = Runtime(str(program), reaper=reaper, state=tmp_path / "state")
    (tmp_path / "complaint").write_text('{"level": "error", "msg": "a hook failed"}\n')
    await runtime.delete("c1")
    assert last_call(program) == ["delete", "--force", "c1"]
    (logged,) = [each for each in caplog.records if each.name.endswith("runtime")]
    assert logged.__dict__["complaint"] == "a hook failed"
