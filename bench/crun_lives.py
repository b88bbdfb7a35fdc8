# SPDX-License-Identifier: Apache-2.0
"""Times the life of a container, and an exec, by crun's command line.

`bench.containers` starts it inside a guest's namespaces, beside the agent, with the
bundle of a container that the agent has made. For each line `life` or `exec` on
standard input it prints the seconds.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

from kata_agent.linux.prctl import set_child_subreaper
from kata_agent.linux.spawn import Command, spawn

STATE = "/run/bench-crun"
SLEEPER = "crun-sleeper"


def main(bundle: str) -> None:
    set_child_subreaper()
    spec = json.loads((Path(bundle) / "config.json").read_text())
    directory = Path("/run/bench-bundle")
    directory.mkdir()
    (directory / "process.json").write_text(json.dumps(spec["process"]))
    lives = 0
    create(directory, spec | _sleeping(spec), SLEEPER)
    crun("start", SLEEPER)
    for line in sys.stdin:
        lives += 1
        seconds = life(directory, spec, lives) if line == "life\n" else run(directory)
        print(seconds, flush=True)
    crun("delete", "--force", SLEEPER)


def life(directory: Path, spec: dict[str, object], number: int) -> float:
    """Create, start, wait for and delete a container."""
    name = f"bench-{number}"
    began = time.perf_counter()
    pid = create(directory, spec, name)
    crun("start", name)
    os.waitpid(pid, 0)
    crun("delete", name)
    return time.perf_counter() - began


def run(directory: Path) -> float:
    """Execute a process in the running container, and wait for it."""
    began = time.perf_counter()
    pid_file = directory / "pid"
    process = directory / "process.json"
    options = ["--process", str(process), "--pid-file", str(pid_file)]
    crun("exec", "--detach", *options, SLEEPER)
    os.waitpid(int(pid_file.read_text()), 0)
    return time.perf_counter() - began


def create(directory: Path, spec: dict[str, object], name: str) -> int:
    linux = spec["linux"]
    assert isinstance(linux, dict)
    own = {**spec, "linux": {**linux, "cgroupsPath": f"/{name}"}}
    (directory / "config.json").write_text(json.dumps(own))
    pid_file = directory / "pid"
    crun("create", "--bundle", str(directory), "--pid-file", str(pid_file), name)
    return int(pid_file.read_text())


def crun(*arguments: str) -> None:
    # The cheapest way to start a program, so that the figure is crun's own.
    pid = spawn(Command(["crun", "--root", STATE, *arguments], stderr=2))
    if os.waitpid(pid, 0)[1]:
        raise RuntimeError(f"crun {arguments[0]} failed")


def _sleeping(spec: dict[str, object]) -> dict[str, object]:
    process = spec["process"]
    assert isinstance(process, dict)
    return {"process": {**process, "args": ["sleep", "100000"]}}


if __name__ == "__main__":
    main(sys.argv[1])
