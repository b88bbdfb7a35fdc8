# SPDX-License-Identifier: Apache-2.0
"""Every row of docs/how-to/from-docker.md in a real terminal: what is typed there, what
is on the screen then, and the exit status; keys, sizes, pipes and leaving."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from tests.e2e.conftest import traces_of, wait_until
from tests.helpers.command_line import CTL
from tests.helpers.docker_table import ROWS
from tests.helpers.host_program import require_program
from tests.helpers.namespace import require_root
from tests.helpers.saved_images import directory, docker_archive, entry, tar_of
from tests.helpers.tmux import Tmux

SIZE: Final = (30, 100)
SHELL: Final = "-- sh -c 'stty -echo; exec sh'"
"""A shell in a container, which busybox's is without echo: with it, that shell edits
lines, and asks where the cursor is. If it ends then, or is left, ours gets the answer.
"""
PROMPT: Final = r"^/ #\Z"
"""Of that shell. Without an echo, output is on the prompt's line."""


@dataclass(frozen=True, slots=True)
class Step:
    """Something that a person does, and what the terminal then shows."""

    line: str = ""
    """A command line, in which `ctl` is kata-agent-ctl; or words for a program."""
    keys: Sequence[str] = ()
    size: tuple[int, int] | None = None
    shows: str = ""
    """A regular expression of lines, which the echo of what is typed must not match."""
    status: int | None = None
    """The exit status, once our shell has its prompt again: of each line for it, the
    last step's."""

    def take(self, terminal: Tmux) -> None:
        if self.size is not None:
            terminal.resize(*self.size)
        if self.line:
            terminal.enter(self.line)
        if self.keys:
            terminal.press(*self.keys)
        if self.shows:
            terminal.expect(self.shows)
        if self.status is not None:
            assert terminal.status() == self.status, self


def line(text: str, shows: str = "", status: int | None = None) -> Step:
    return Step(line=text, shows=shows, status=status)


def keys(*names: str, shows: str = "", status: int | None = None) -> Step:
    return Step(keys=names, shows=shows, status=status)


INTERRUPT: Final = keys("C-c", status=130)
LEAVE: Final = keys("C-p", "C-q", status=0)
AS_LARGE: Final = (
    Step(
        line="until [ \"$(stty size)\" = '33 90' ]; do :; done; echo as la''rge",
        size=(33, 90),
        shows="as large$",
    ),
    Step(size=SIZE),
)
"""In a shell: the size of our terminal has come through."""
CTRL_C: Final = (
    line(
        'sh -c \'trap "echo caught; exit" INT; echo "wai"ts; '
        "while :; do sleep 0.1; done'",
        shows="waits$",
    ),
    keys("C-c", shows="caught$"),
)
"""In a shell: Ctrl-C is a key of its terminal."""
READY: Final = "sh -c 'echo ready; exec sleep 1000'"

CASES: Final[Mapping[str, Sequence[Step]]] = {
    "run --rm IMAGE CMD": (
        line("ctl run -- sh -c 'echo own; exit 4'", "^own$", 4),
        line("ctl run --guest one -- sh -c 'echo out; exit 3'", "^out$", 3),
        line("ctl run --guest one -- no-such", "^kata-agent-ctl: .*no-such", 127),
        line("ctl run --guest one -- /tmp", "^kata-agent-ctl: .*open executable", 126),
        line("ctl run --guest none -- true", "^kata-agent-ctl: .*none", 125),
        line("echo hi | ctl run -i --guest one -- cat | tr a-z A-Z", "^HI$", 0),
        line("ctl run --guest one -- yes | head -n 1", "^y$", 0),
        line(f"ctl run --guest one -- {READY}", "^ready$"),
        INTERRUPT,
    ),
    "run -d --name web": (
        line("ctl run -d --guest one --name d1 -- sleep 1000", "^d1$", 0),
        line("ctl ps -q | grep -x d1 | tr d D", "^D1$", 0),
        line("ctl run -d --guest one --name d1 -- true", "already exists", 125),
    ),
    "run -it": (
        line(f"ctl run -it --guest one --name t1 {SHELL}", PROMPT),
        *AS_LARGE,
        *CTRL_C,
        LEAVE,
        line("ctl ps -q | grep -x t1 | tr t T", "^T1$", 0),
        line(f"ctl run -it --guest one {SHELL}", PROMPT),
        line("exit 6", status=6),
    ),
    "run -t": (
        line(f"ctl run -t --guest one -- {READY}", "^ready$"),
        INTERRUPT,
    ),
    "run -e K=V --env-file F": (
        line("echo B=file > env", status=0),
        line(
            "ctl run --guest one -e A=1 --env-file env -- sh -c 'echo $A $B'",
            "^1 file$",
            0,
        ),
    ),
    "run -w DIR -u USER": (
        line(
            "ctl run --guest one -w /tmp -u 65534:5 -- sh -c 'pwd; id -u; id -g'",
            "^/tmp\n65534\n5$",
            0,
        ),
    ),
    "run -v SRC:DST:ro": (
        line("mkdir v; echo of the host > v/f", status=0),
        line(
            "ctl run --guest one -v ./v:/v:ro -- sh -c 'cat /v/f; touch /v/x 2>&1'",
            "^of the host\n.*Read-only",
            1,
        ),
    ),
    "run --entrypoint P": (
        line("ctl run --guest one --entrypoint echo -- hello", "^hello$", 0),
    ),
    "run --cpus 0.5 -m 64m --pids-limit 9": (
        line("L='--cpus 0.5 -m 64m --pids-limit 9'", status=0),
        line("F='for i in 1 2 3 4 5 6 7 8 9 10; do sleep 1000 & done'", status=0),
        line('ctl run --guest one $L -- sh -c "$F"', "can't fork", 2),
    ),
    "run --read-only --tmpfs /t": (
        line(
            "ctl run --guest one --read-only --tmpfs /t -- touch /t/x /x",
            "/x: Read-only",
            1,
        ),
    ),
    "run --cap-drop ALL --cap-add KILL": (
        line(
            "ctl run --guest one --cap-drop ALL --cap-add KILL -- "
            "grep CapEff /proc/self/status",
            "^CapEff:\\s+0000000000000020$",
            0,
        ),
    ),
    "run --ulimit nofile=64": (
        line("ctl run --guest one --ulimit nofile=64 -- sh -c 'ulimit -n'", "^64$", 0),
    ),
    "run --hostname H": (line("ctl run --hostname h -- hostname", "^h$", 0),),
    "run --init": (
        line("ctl run --init -- cat /proc/1/comm", "^init$", 0),
        line(f"ctl run --guest one --init -- {READY}", "^ready$"),
        INTERRUPT,
    ),
    "run --pid container:X": (
        line("ctl run --guest one --pid sandbox -- cat /proc/1/comm", "^pause$", 0),
    ),
    "run --network none": (
        line("ctl run -- grep -c : /proc/net/dev", "^1$", 0),
        line("ctl run --network none -- grep -c : /proc/net/dev", "^1$", 0),
    ),
    "run": (line("ctl run --network user -- grep -o eth0 /proc/net/dev", "^eth0$", 0),),
    "run -p 8080:80": (
        line("ctl run -p 80 -- true", r"^127\.0\.0\.1:\d+ -> 80$", 0),
        line("ctl run -d --guest one --name p1 -p 80 -- sleep 1000", "^p1$", 0),
        line("ctl ps | grep -o '127.*:80$'", r"^127\.0\.0\.1:\d+:80$", 0),
    ),
    "exec -it web CMD": (
        line(f"ctl exec -it web {SHELL}", PROMPT),
        *AS_LARGE,
        *CTRL_C,
        line("exit 6", status=6),
        line("echo hi | ctl exec -i web -- cat | tr a-z A-Z", "^HI$", 0),
        line("ctl exec web -- no-such", "^kata-agent-ctl: .*no-such", 127),
        line(f"ctl exec web -- {READY}", "^ready$"),
        INTERRUPT,
    ),
    "exec -e K=V -u U -w D web CMD": (
        line(
            "ctl exec -e A=2 -u 65534 -w /tmp web -- sh -c 'echo $A; pwd; id -u'",
            "^2\n/tmp\n65534$",
            0,
        ),
    ),
    "ps": (
        line("ctl ps", r"^.*\bweb\b", 0),
        line("ctl ps -q | grep -x web | tr w W", "^Web$", 0),
        line("ctl ps -a | head -n 1 | wc -l", "^1$", 0),
    ),
    "ps --format json": (line("ctl ps --format json | head -c 1", r"^\{", 0),),
    "logs -f --tail 10 -t web": (
        line("ctl logs --tail 10 web", "^started$", 0),
        line("ctl logs -f -t web", r"^\d{4}-.*started$"),
        INTERRUPT,
        line("ctl logs web | tr a-z A-Z", "^STARTED$", 0),
    ),
    "attach web": (
        line(f"ctl run -it --guest one --name t2 {SHELL}", PROMPT),
        line("A=kept"),
        LEAVE,
        line("ctl attach t2"),
        line('echo "<$A>"', "<kept>$"),
        *AS_LARGE,
        *CTRL_C,
        LEAVE,
        line("ctl attach t2"),
        line("echo ag''ain", "again$"),
        line("exit 5", status=5),
    ),
    "stop -t 2 web": (
        line(
            "S='trap \"exit 9\" TERM; echo ready; while :; do sleep 0.1; done'",
            status=0,
        ),
        line('ctl run -d --guest one --name s1 -- sh -c "$S"', "^s1$", 0),
        line("until ctl logs s1 | grep ready | tr r R; do :; done", "^Ready$", 0),
        line("ctl stop -t 20s s1 | tr s S", "^S1$", 0),
        line("ctl wait s1", "^9$", 0),
    ),
    "kill -s HUP web": (
        line("ctl run -d --guest one --name k1 -- sleep 1000", "^k1$", 0),
        line("ctl kill -s HUP k1 | tr k K", "^K1$", 0),
        line("ctl wait k1", "^129$", 0),
    ),
    "rm -f web": (
        line("ctl run -d --guest one --name r1 -- sleep 1000", "^r1$", 0),
        line("ctl rm r1", "container 'r1': running", 1),
        line("ctl rm -f r1 | tr r R", "^R1$", 0),
        line("ctl ps -aq | grep -x r1", status=1),
    ),
    "wait web": (
        line("ctl run -d --guest one --name w1 -- sh -c 'exit 5'", "^w1$", 0),
        line("ctl wait w1 | tr 5 V", "^V$", 0),
        line("ctl wait w1 web", "^5$"),
        INTERRUPT,
    ),
    "inspect web": (
        line("ctl inspect web", '"state": "running"', 0),
        line("ctl inspect no-such", "container 'no-such'", 1),
    ),
    "stats --no-stream web": (
        line("ctl stats web", r"^web\s+\d"),
        INTERRUPT,
        line("ctl stats --no-stream web | tr w W", r"^Web\s+\d", 0),
    ),
    "top web -o pid": (line("ctl top web -- -o pid,args", r"^ *\d+ sh -c", 0),),
    "cp A web:B": (
        line("echo of the host > a", status=0),
        line("ctl cp a web:/tmp/b", status=0),
        line("ctl exec web -- cat /tmp/b | tr a-z A-Z", "^OF THE HOST$", 0),
        line("ctl cp web:/tmp/b back; cat back", "^of the host$", 0),
        line("ctl cp web:/no-such back", "^kata-agent-ctl: .*no-such", 1),
    ),
    "cp A/. web:D": (
        line("mkdir d; echo in it > d/f", status=0),
        line("ctl cp d/. web:/var", status=0),
        line("ctl exec web -- cat /var/f", "^in it$", 0),
        line("mkdir e; ctl cp web:/var/. e; cat e/f | tr a-z A-Z", "^IN IT$", 0),
    ),
    "cp - web:D": (
        line("echo packed > p; tar -c p | ctl cp - web:/tmp", status=0),
        line("ctl exec web -- cat /tmp/p", "^packed$", 0),
        line("ctl cp web:/tmp/p - | tar -t | tr p P", "^P$", 0),
        line("head -c 1000000 /dev/zero > big; PART='head -c 900000'", status=0),
        # More than a pipe holds, so that our program has read a part of it.
        line(
            "(tar -c big | $PART; echo se''nt >&2; cat) | ctl cp - web:/tmp", "^sent$"
        ),
        INTERRUPT,
    ),
    "pause": (
        line('C=\'{"container_id": "web"}\'', status=0),
        line('ctl call --guest one PauseContainer "$C"', status=0),
        line('ctl call --guest one ResumeContainer "$C"', status=0),
        line("ctl exec web -- echo go''es on", "^goes on$", 0),
    ),
    "images": (
        line("ctl images", "here it is image ls", 2),
        line("ctl image import ../small.tar small:1 | tr s S", "^Small:1$", 0),
        line("ctl image ls -q | tr s S", "^Small:1$", 0),
        line("ctl run --guest one --image small:1 -- hello", "^hello$", 0),
        line("ctl run --guest one small:1 hello", "image: --image small:1", 127),
        line("ctl image rm small:1 | tr s S", status=0),
        line("ctl image ls -q | grep -c .", "^0$", 1),
    ),
}
"""Rows of the page by docker's first words in each."""


@pytest.fixture(scope="module")
def world() -> Iterator[tuple[Path, dict[str, str]]]:
    """Start the guest `one`, and the container `web` in it.

    Yields the folder of all, and the environment.
    """
    require_root()
    require_program("tmux", "tmux")
    require_program("tini-static", "tini")
    scratch = Path(f"/tmp/e2e-{os.urandom(4).hex()}")
    (scratch / "bin").mkdir(parents=True)
    program = scratch / "bin" / "ctl"
    program.write_text(f'#!/bin/sh\nexec {" ".join(CTL)} "$@"\n')
    program.chmod(0o755)
    environment = {
        **os.environ,
        "PATH": f"{scratch}/bin:{os.environ['PATH']}",
        "TMPDIR": str(scratch),
        "XDG_RUNTIME_DIR": str(scratch),
        "KATA_IMAGE_STORE": str(scratch / "store"),
    }
    busybox = Path("/bin/busybox").read_bytes()
    layer = tar_of(directory("bin"), entry("bin/echo", busybox, mode=0o755))
    docker_archive(scratch / "small.tar", layer, Entrypoint=["/bin/echo"])

    def ctl(*words: str) -> None:
        subprocess.run(
            [*CTL, *words], env=environment, check=True, stdout=subprocess.DEVNULL
        )

    ctl("guest", "start", "--name", "one")
    try:
        script = "echo started; while :; do sleep 0.1; done"
        web = ("--name", "web", "--", "sh", "-c", script)
        ctl("run", "-d", "--guest", "one", *web)
        yield scratch, environment
    finally:
        ctl("guest", "stop", "--all")
    # What ran in a window ends after it.
    wait_until(lambda: not any("/proc" in trace for trace in traces_of(scratch)))
    shutil.rmtree(scratch)


@pytest.fixture
def terminal(world: tuple[Path, dict[str, str]]) -> Iterator[Tmux]:
    scratch, environment = world
    folder = scratch / "terminal"
    folder.mkdir()
    terminal = Tmux(folder, environment, rows=SIZE[0], columns=SIZE[1])
    yield terminal
    terminal.close()
    shutil.rmtree(folder)


@pytest.mark.parametrize("row", [*CASES])
def test_a_row_in_a_terminal(row: str, terminal: Tmux) -> None:
    for step in CASES[row]:
        step.take(terminal)


def test_every_row_of_the_page_has_a_case() -> None:
    assert [*CASES] == [row.docker[0] for row in ROWS if not row.is_absent]


def test_rows_with_a_terminal_try_sizes_and_keys() -> None:
    for case in ("run -it", "exec -it web CMD", "attach web"):
        assert set(AS_LARGE) | set(CTRL_C) <= set(CASES[case])
    for case in ("run -it", "attach web"):
        assert LEAVE in CASES[case]
