# SPDX-License-Identifier: Apache-2.0
"""A crun that goes wrong for containers whose names ask for it.

The name `FAULT-VERB-...` gives a container's calls of that verb a fault: `hang` never
ends, `kill` is killed at work, `flood` writes more than a pipe holds and fails.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Final

FAULTS: Final = ("hang", "kill", "flood")
VERBS: Final = ("create", "exec", "update")
"""Those for which the agent always runs a program."""
_SCRIPT: Final = """#!/bin/sh
verb= fault= log= last=
for word in "$@"; do
    [ "$last" = --log ] && log=$word
    case $word in
    create | exec | update) : ${verb:=$word} ;;
    hang-* | kill-* | flood-*) fault=$word ;;
    esac
    last=$word
done
case $fault in
hang-$verb-*) exec sleep 1000000 ;;
kill-$verb-*)
    CRUN "$@" &
    sleep 0.00$(($(od -An -N1 -tu1 /dev/urandom) % 10))
    kill -9 $! $$
    ;;
flood-$verb-*)
    head -c 200000 /dev/zero | tee /dev/stderr $log
    exit 1
    ;;
esac
exec CRUN "$@"
"""


def make_faulty_crun(directory: Path) -> None:
    """Write the program `crun` into a new directory. Raises `FileNotFoundError`."""
    crun = shutil.which("crun")
    if crun is None:
        raise FileNotFoundError("crun")
    directory.mkdir()
    program = directory / "crun"
    program.write_text(_SCRIPT.replace("CRUN", crun))
    program.chmod(0o755)
