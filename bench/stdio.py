# SPDX-License-Identifier: Apache-2.0
"""Standard streams of containers: `python -m bench.stdio`.

First it checks bytes and statuses: of 10,000 short execs, and of 1 GiB through stdout
and through stdin, by polling and over stream ports. Then it measures the rates, in turn
with the same program at a pipe of this process. With `--write` the table goes to
`bench/README.md`; `--size` and `--execs` make it shorter.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import itertools
import os
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.document import replace_section
from bench.stage import Stage, open_stage
from kata_host.client import GuestContainer
from kata_host.client.spec import default_process
from kata_protos import agent_pb2

MIB: Final = 1 << 20
BLOCK: Final = 64 * MIB
"""Bytes of the file; the data is this file, again and again."""
CHUNK: Final = 256 << 10
KATA_READ: Final = 32 << 10
"""Bytes that Kata's runtimes ask for in one call."""
LARGE_READ: Final = 256 << 10
"""As many as our client sends in one call; it asks for four times as many."""
AT_ONCE: Final = 4
ROUNDS: Final = 5

_numbers = itertools.count(1)

Sink = Callable[[bytes], object]


@dataclass(frozen=True, slots=True)
class Data:
    """A block of random bytes, repeated `times` times."""

    block: bytes
    times: int

    @property
    def size(self) -> int:
        return len(self.block) * self.times

    @property
    def digest(self) -> str:
        digest = hashlib.sha256()
        for _ in range(self.times):
            digest.update(self.block)
        return digest.hexdigest()

    def writer(self, path: str) -> list[str]:
        """Return the command that writes the data, from a file with the block."""
        return ["cat", *[path] * self.times]


def make_data(stage: Stage, size: int) -> Data:
    """Make data of about `size` bytes; containers have its block as `/data`."""
    block = os.urandom(min(size, BLOCK))
    (stage.rootfs / "data").write_bytes(block)
    return Data(block, size // len(block))


# --- exact ---


async def execute_many(stage: Stage, count: int, at_once: int = AT_ONCE) -> float:
    """Run `count` execs, check output and status of each; return the seconds."""
    container = await stage.started("execs", "sleep", "100000")
    numbers = iter(range(count))

    async def work() -> None:
        for number in numbers:
            script = f"echo out {number}; echo err {number} >&2; exit {number % 251}"
            process = await container.exec(
                f"e{number}", default_process(["sh", "-c", script])
            )
            result = await process.communicate()
            expected = (
                number % 251,
                b"out %d\n" % number,
                b"err %d\n" % number,
            )
            found = (result.status, result.stdout, result.stderr)
            assert found == expected, f"{found} instead of {expected}"

    began = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for _ in range(at_once):
            group.create_task(work())
    seconds = time.perf_counter() - began
    await container.remove()
    return seconds


async def check_hashes(stage: Stage, data: Data) -> None:
    """Send the data each way and compare hashes. Raises `AssertionError`."""
    for read in (read_by_polling, read_by_port):
        digest = hashlib.sha256()
        await read(stage, data, digest.update)
        assert digest.hexdigest() == data.digest, read.__name__
    for write in (write_by_polling, write_by_port):
        _, output = await write(stage, data, "sha256sum")
        assert output == f"{data.digest}  -\n".encode(), (write.__name__, output)


# --- the ways ---


async def read_by_polling(
    stage: Stage, data: Data, sink: Sink, limit: int = LARGE_READ
) -> float:
    """Read the data with ReadStdout; return the seconds."""
    container = await stage.created(_name(), *data.writer("/data"))
    request = agent_pb2.ReadStreamRequest(container_id=container.id, len=limit)
    began = time.perf_counter()
    await container.start()
    while chunk := (await stage.client.agent.read_stdout(request)).data:
        sink(chunk)
    return await _end(container, began)


async def read_by_port(stage: Stage, data: Data, sink: Sink) -> float:
    """Read the data from a connection that the agent makes; return the seconds."""
    with _host_port(stage) as (port, listener):
        ports = {"stdout": port}
        container = await stage.created(_name(), *data.writer("/data"), ports=ports)
        with listener.accept()[0] as connection:
            began = time.perf_counter()
            await container.start()
            await asyncio.to_thread(_receive_all, connection, sink)
            return await _end(container, began)


async def write_by_polling(
    stage: Stage, data: Data, program: str
) -> tuple[float, bytes]:
    """Write the data with WriteStdin; return the seconds and the program's output."""
    container = await stage.started(_name(), "sh", "-c", f"exec {program}")
    began = time.perf_counter()
    for _ in range(data.times):
        await container.init.write_stdin(data.block)
    await container.init.close_stdin()
    result = await container.init.communicate()
    seconds = time.perf_counter() - began
    await container.remove()
    return seconds, result.stdout


async def write_by_port(stage: Stage, data: Data, program: str) -> tuple[float, bytes]:
    """Write the data to a connection that the agent makes; return the same."""
    with _host_port(stage) as (port, listener):
        ports = {"stdin": port}
        container = await stage.started(
            _name(), "sh", "-c", f"exec {program}", ports=ports
        )
        with listener.accept()[0] as connection:
            began = time.perf_counter()
            await asyncio.to_thread(_send_all, connection, data)
            connection.shutdown(socket.SHUT_WR)
            result = await container.init.communicate()
            seconds = time.perf_counter() - began
    await container.remove()
    return seconds, result.stdout


def read_bare(data: Data, path: Path) -> float:
    """Read the data from the writing program's own pipe; return the seconds."""
    began = time.perf_counter()
    command = ["busybox", *data.writer(str(path))]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        while os.read(process.stdout.fileno(), CHUNK):
            pass
    return time.perf_counter() - began


def write_bare(data: Data) -> float:
    """Write the data into the reading program's own pipe; return the seconds."""
    began = time.perf_counter()
    with subprocess.Popen(
        ["busybox", "cat"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL
    ) as process:
        assert process.stdin is not None
        for _ in range(data.times):
            process.stdin.write(data.block)
        process.stdin.close()
    return time.perf_counter() - began


def _name() -> str:
    return f"stdio-{next(_numbers)}"


async def _end(container: GuestContainer, began: float) -> float:
    assert await container.init.wait() == 0
    seconds = time.perf_counter() - began
    await container.remove()
    return seconds


@contextmanager
def _host_port(stage: Stage) -> Iterator[tuple[int, socket.socket]]:
    """Listen on a free port as the host does (`kata_agent.ports`)."""
    port = 20000 + next(_numbers)
    path = Path(f"{stage.guest.socket}_{port}")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        try:
            yield port, listener
        finally:
            path.unlink()


def _receive_all(connection: socket.socket, sink: Sink) -> None:
    while chunk := connection.recv(CHUNK):
        sink(chunk)


def _send_all(connection: socket.socket, data: Data) -> None:
    for _ in range(data.times):
        connection.sendall(data.block)


# --- the comparison ---


async def compare(
    stage: Stage, data: Data, rounds: int
) -> dict[str, list[list[float]]]:
    """Return for each way the seconds: ours, and the bare pipe's of the same round."""
    found: dict[str, list[list[float]]] = {}

    def drop(chunk: bytes) -> None:
        pass

    def note(way: str, ours: float, bare: float) -> None:
        for durations, seconds in zip(
            found.setdefault(way, [[], []]), (ours, bare), strict=True
        ):
            durations.append(seconds)

    discard = "cat >/dev/null"
    for _ in range(rounds):
        bare = read_bare(data, stage.rootfs / "data")
        for limit in (KATA_READ, LARGE_READ):
            seconds = await read_by_polling(stage, data, drop, limit)
            note(f"`ReadStdout` of {limit >> 10} KiB", seconds, bare)
        note("stdout, stream port", await read_by_port(stage, data, drop), bare)
        bare = write_bare(data)
        seconds, _ = await write_by_polling(stage, data, discard)
        note("`WriteStdin` of 256 KiB", seconds, bare)
        seconds, _ = await write_by_port(stage, data, discard)
        note("stdin, stream port", seconds, bare)
    return found


def table(found: dict[str, list[list[float]]], size: int) -> str:
    """Return the medians; the last column is the median of the rounds' ratios."""
    rows = ["| | MiB/s | of the bare pipe |", "|---|---|---|"]
    for way, (ours, bare) in found.items():
        share = statistics.median(b / o for o, b in zip(ours, bare, strict=True))
        rate = size / MIB / statistics.median(ours)
        rows.append(f"| {way} | {rate:,.0f} | {share:.2f} |")
    return "\n".join(rows)


async def run(size: int, execs: int, rounds: int) -> str:
    async with open_stage() as stage:
        seconds = await execute_many(stage, execs)
        lines = [
            f"{execs:,} execs with exact output and status, {AT_ONCE} at once: "
            f"{seconds / execs * 1e3:.1f} ms each."
        ]
        data = make_data(stage, size)
        await check_hashes(stage, data)
        lines.append(
            f"{data.size // MIB:,} MiB through stdout and through stdin, "
            "both ways: equal hashes."
        )
        print("\n".join(lines), flush=True)
        found = await compare(stage, data, rounds)
    return "\n".join([*lines, "", table(found, data.size)])


def main() -> int:
    parser = argparse.ArgumentParser(description="Standard streams of containers.")
    parser.add_argument("--size", type=int, default=1024, help="MiB (1024)")
    parser.add_argument("--execs", type=int, default=10_000, help="how many (10000)")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--write", action="store_true", help="keep the figures")
    options = parser.parse_args()
    text = asyncio.run(run(options.size * MIB, options.execs, options.rounds))
    print(text.partition("\n\n")[2])
    if options.write:
        replace_section("stdio", text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
