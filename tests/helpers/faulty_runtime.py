# SPDX-License-Identifier: Apache-2.0
"""A program in front of crun that goes wrong on demand, for tests in namespaces.

The test writes a fault for a verb (`set_fault`), and the next call of that verb has it:

    fault      what the call does
    -----      ------------------
    hang       says so (`wait_until_reached`), and never ends; a process in a session of
               its own hangs with it
    after      the same, after crun has done its work
    held       does the work, says so, and ends when it is released (`release`)
    flood      writes 200,000 bytes to both outputs and to its log, and fails
    fail       fails after crun has done its work
    killed     is killed after crun has done its work
    nothing    does nothing and succeeds
    no-pid     writes a pid file that holds no pid, and succeeds
"""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Final

DIRECTORY: Final = Path("/run/faulty")
_SCRIPT: Final = """#!/bin/sh
here=/run/faulty
log= pids= verb= last=
for word in "$@"; do
    case $last in --log) log=$word ;; --pid-file) pids=$word ;; esac
    case $word in create | start | exec | update | delete) : ${verb:=$word} ;; esac
    last=$word
done
fault=$(cat $here/$verb 2>/dev/null)
hang() {
    setsid sleep 271828 &
    helper=$!
    # Says so when both run their last program, as tests look for those.
    (
        until [ "$(tr '\\0' ' ' < /proc/$$/cmdline)" = "sleep 314159 " ] &&
            [ "$(tr '\\0' ' ' < /proc/$helper/cmdline)" = "sleep 271828 " ]; do :; done
        echo > $here/reached
    ) &
    exec sleep 314159
}
case $fault in
hang) hang ;;
after) CRUN "$@"; hang ;;
held)
    CRUN "$@"
    echo > $here/reached
    while [ ! -e $here/release ]; do sleep 0.01; done
    rm $here/release
    exit 0
    ;;
flood)
    head -c 200000 /dev/zero | tr '\\0' x | tee /dev/stderr $log
    exit 3
    ;;
fail) CRUN "$@"; exit 3 ;;
killed) CRUN "$@"; kill -9 $$ ;;
nothing) exit 0 ;;
no-pid) echo $(cat $here/pid) > $pids; exit 0 ;;
esac
exec CRUN "$@"
"""


def make_faulty_runtime() -> str:
    """Make the program and return its path."""
    program = DIRECTORY / "bin" / "crun"
    program.parent.mkdir(parents=True)
    program.write_text(_SCRIPT.replace("CRUN", _crun()))
    program.chmod(0o755)
    return str(program)


def _crun() -> str:
    for directory in os.environ["PATH"].split(":"):
        if os.access(f"{directory}/crun", os.X_OK):
            return f"{directory}/crun"
    raise FileNotFoundError("crun")


def set_fault(verb: str, fault: str) -> None:
    """Let the calls of `verb` have `fault`; `""` for none."""
    (DIRECTORY / verb).write_text(fault)


async def wait_until_reached() -> None:
    """Return when a call hangs; the next wait is for another one."""
    reached = DIRECTORY / "reached"
    while not reached.exists():
        await asyncio.sleep(0.001)
    reached.unlink()


def release() -> None:
    """Let the call that is held end."""
    (DIRECTORY / "release").touch()
