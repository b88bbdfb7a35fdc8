# SPDX-License-Identifier: Apache-2.0
"""Large copies into a container and back: `python -m bench.copies`.

A file and a folder go both ways by `kata-agent-ctl cp`, with equal hashes, in turns
with stream ports and with the host's own `cp` and `tar`. `--size`, `--rounds` and
`--vm` change that; with `--write` the table goes to `bench/README.md`.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import hashlib
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from bench.document import replace_section
from bench.stage import Stage, children_of, first_process_below, open_stage
from bench.stdio import Data, make_data, read_by_port, write_by_port
from kata_host.child import module_command

MIB: Final = 1 << 20
FILES: Final = 1024
"""Files in the folder, 32 in each of its folders."""
ROUNDS: Final = 3
BOX: Final = "bench-copies"
SUMS: Final = "find . -type f -exec sha256sum {} +"

_CP: Final = """
import sys
from kata_host.ctl.program import main
status = main(sys.argv[1:])
print(open("/proc/self/status").read())
sys.exit(status)
"""
"""`kata-agent-ctl`, which prints its /proc/self/status at its end. (What wait4 says of
memory would be this program's, too.)"""

Times = dict[str, list[float]]


class Copies:
    """A container of a guest that stays, and the command line's copies into it."""

    def __init__(self, environment: Mapping[str, str], scratch: Path) -> None:
        self.scratch = scratch
        self.peak = 0.0
        """MiB that a `cp` had resident at the most."""
        self._environment = environment

    def ctl(self, *words: str) -> str:
        """Run kata-agent-ctl; return its output. Raises `CalledProcessError`."""
        ran = subprocess.run(
            [*module_command("kata_host.ctl"), *words],
            env=self._environment,
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        return ran.stdout

    def copy(self, source: str, target: str) -> float:
        """Copy, keep the peak of memory in mind, and return the seconds."""
        began = time.perf_counter()
        ran = subprocess.run(
            [sys.executable, "-P", "-c", _CP, "cp", source, target],
            env=self._environment,
            stdout=subprocess.PIPE,
            check=True,
        )
        seconds = time.perf_counter() - began
        self.peak = max(self.peak, peak_in(ran.stdout.decode()))
        return seconds

    def both_ways(self, source: Path, times: Times, kind: str) -> None:
        """Copy in and out, and compare hashes. Raises `AssertionError`."""
        there, back = f"{BOX}:/tmp/{source.name}", self.scratch / "back"
        times.setdefault(f"`cp` of a {kind}, in", []).append(
            self.copy(str(source), there)
        )
        times.setdefault(f"`cp` of a {kind}, out", []).append(
            self.copy(there, str(back))
        )
        script = f"cd /tmp; if cd {source.name} 2>/dev/null; then {SUMS}; else "
        script += f"sha256sum {source.name}; fi; cd /; rm -rf /tmp/{source.name}"
        said = self.ctl("exec", BOX, "--", "sh", "-c", script)
        expected = sums_of(source)
        assert sums_in(said) == expected, f"{kind}: other bytes in the guest"
        assert sums_of(back) == expected, f"{kind}: other bytes came back"
        remove(back)


@contextlib.contextmanager
def guest(place: Path, *, vm: bool, size: int) -> Iterator[tuple[Copies, int]]:
    """Have a container in a guest for the block; yield the pid of its holder too."""
    from kata_host.guest.registry import find, runtime_path

    with tempfile.TemporaryDirectory(prefix="bench-copies-", dir=place) as name:
        scratch = Path(name)
        # Short, because of the sockets in it.
        with tempfile.TemporaryDirectory(prefix="bench-") as run:
            environment = {**os.environ, "XDG_RUNTIME_DIR": run}
            copies = Copies(environment, scratch)
            # A container's files are in a tmpfs, which takes half of the memory.
            memory = f"{2 * size // MIB + 1024}m"
            kind = ["--vm", "--memory", memory] if vm else ["--local"]
            copies.ctl("guest", "start", "--name", "bench", *kind)
            try:
                words = ["run", "-d", "--guest", "bench", "--name", BOX, "--"]
                copies.ctl(*words, "sleep", "1000000")
                os.environ["XDG_RUNTIME_DIR"] = run
                assert runtime_path().is_dir()
                yield copies, find("bench")[0].pid
            finally:
                copies.ctl("guest", "stop", "bench")


def make_file(path: Path, size: int) -> None:
    """Make a file of random bytes."""
    with open(path, "wb") as file:
        for at in range(0, size, MIB):
            file.write(os.urandom(min(MIB, size - at)))


def make_tree(path: Path, size: int) -> None:
    for number in range(FILES):
        folder = path / f"{number % 32}"
        folder.mkdir(parents=True, exist_ok=True)
        make_file(folder / f"{number}", size // FILES)


def sums_of(path: Path) -> set[str]:
    """Return the hashes of a file, or of all files in a folder."""
    files = [path] if path.is_file() else [it for it in path.rglob("*") if it.is_file()]
    found = set()
    for each in files:
        with open(each, "rb") as file:
            found.add(hashlib.file_digest(file, "sha256").hexdigest())
    return found


def sums_in(said: str) -> set[str]:
    return {line.split()[0] for line in said.splitlines()}


def remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()


def by_host(commands: Sequence[str], path: Path) -> float:
    """Run a line of shell that makes `path`, remove that, return the seconds."""
    began = time.perf_counter()
    subprocess.run(["sh", "-c", commands[0], "sh", *commands[1:]], check=True)
    seconds = time.perf_counter() - began
    remove(path)
    return seconds


def host_copies(copies: Copies, file: Path, tree: Path, times: Times) -> None:
    """Copy from place to place of this host, by its own programs."""
    back = copies.scratch / "back"
    for name, line, source in (
        ("host's `cp` of a file", 'cp "$1" "$2"', file),
        ("host's `cp -r` of a folder", 'cp -r "$1" "$2"', tree),
        (
            "host's `tar` to `tar`, a folder",
            'mkdir "$2" && tar -c -C "$1" . | tar -x -C "$2"',
            tree,
        ),
    ):
        seconds = by_host([line, str(source), str(back)], back)
        times.setdefault(name, []).append(seconds)


async def port_copies(stage: Stage, data: Data, times: Times) -> None:
    """Send as many bytes over stream ports."""

    def drop(chunk: bytes) -> None:
        pass

    seconds, _ = await write_by_port(stage, data, "cat >/dev/null")
    times.setdefault("stdin, stream port", []).append(seconds)
    seconds = await read_by_port(stage, data, drop)
    times.setdefault("stdout, stream port", []).append(seconds)


async def run(place: Path, size: int, rounds: int, *, vm: bool) -> str:
    """Return the table. Raises `AssertionError` if bytes differ."""
    times: Times = {}
    lines = []
    async with contextlib.AsyncExitStack() as stack:
        copies, holder = stack.enter_context(guest(place, vm=vm, size=size))
        file, tree = copies.scratch / "file", copies.scratch / "tree"
        make_file(file, size)
        make_tree(tree, size)
        stage = None if vm else await stack.enter_async_context(open_stage())
        data = None if stage is None else make_data(stage, size)
        for _ in range(rounds):
            copies.both_ways(file, times, "file")
            copies.both_ways(tree, times, "folder")
            if stage is not None and data is not None:
                await port_copies(stage, data, times)
            host_copies(copies, file, tree, times)
        lines.append(
            f"{size // MIB:,} MiB in a {'VM' if vm else 'local guest'}, medians of "
            f"{rounds}: equal hashes each way."
        )
        peaks = f"`cp` {copies.peak:.1f} MiB"
        if vm:
            peaks += f", the VM's vsock device {peak_of(vsock_device(holder)):.1f} MiB"
        else:
            peaks += f", the agent {peak_of(first_process_below(holder)):.1f} MiB"
        lines.append(f"Resident at the most: {peaks}.")
    return "\n".join([*lines, "", table(times, size)])


def vsock_device(holder: int) -> int:
    """Return the pid of the process that is the vsock device of a VM."""
    waiting = [holder]
    while waiting:
        pid = waiting.pop()
        if b"kata_host.guest.vsock" in Path(f"/proc/{pid}/cmdline").read_bytes():
            return pid
        waiting += map(int, children_of(pid))
    raise RuntimeError(f"guest {holder} has no vsock device")


def peak_of(pid: int) -> float:
    """Return the MiB that a process had resident at the most."""
    return peak_in(Path(f"/proc/{pid}/status").read_text())


def peak_in(status: str) -> float:
    """Return the MiB that a process had resident at the most (VmHWM, man 5 proc)."""
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def table(times: Times, size: int) -> str:
    rows = ["| | seconds | MiB/s |", "|---|---|---|"]
    for name, seconds in times.items():
        median = statistics.median(seconds)
        rows.append(f"| {name} | {median:.2f} | {size / MIB / median:,.0f} |")
    return "\n".join(rows)


def main() -> int:
    parser = argparse.ArgumentParser(description="Large copies, both ways.")
    parser.add_argument("--size", type=int, default=1024, help="MiB (1024)")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--vm", action="store_true", help="into a VM")
    parser.add_argument(
        "--place", type=Path, default=Path("/dev/shm"), help="folder for the files"
    )
    parser.add_argument("--write", action="store_true", help="keep the figures")
    options = parser.parse_args()
    size = options.size * MIB
    # The source twice, and a copy.
    if shutil.disk_usage(options.place).free < 4 * size:
        parser.error(f"{options.place}: less than {4 * options.size} MiB free")
    text = asyncio.run(run(options.place, size, options.rounds, vm=options.vm))
    print(text)
    if options.write:
        replace_section("copies", text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
