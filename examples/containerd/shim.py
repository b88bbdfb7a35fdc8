# SPDX-License-Identifier: Apache-2.0
"""A shim: the program between containerd and a container, here with runc.

containerd runs `containerd-shim-python-v1 ... start` from its PATH for the runtime
`io.containerd.python.v1`, and calls the server whose address that prints.
"""

from __future__ import annotations

import argparse
import asyncio
import ctypes
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from github.com.containerd.containerd.api.events.task_pb2 import TaskExit
from github.com.containerd.containerd.api.runtime.task.v2 import shim_pb2
from github.com.containerd.containerd.api.runtime.task.v2.shim_ttrpc import (
    TASK,
    TaskBase,
)
from github.com.containerd.containerd.api.types.task import task_pb2
from google.protobuf.empty_pb2 import Empty
from publish_event import publish

from ttrpc import CallContext, Code, StatusError, bind
from ttrpc.aio import Server

PR_SET_CHILD_SUBREAPER = 36


class Task(TaskBase):
    """One container. Execs, terminals and statistics are left out."""

    def __init__(self, namespace: str, stopped: asyncio.Event) -> None:
        self._namespace = namespace
        self._stopped = stopped
        self._pid = 0
        self._status = task_pb2.UNKNOWN

    async def create(
        self, request: shim_pb2.CreateTaskRequest, context: CallContext
    ) -> shim_pb2.CreateTaskResponse:
        if request.terminal or request.rootfs:
            raise StatusError(Code.UNIMPLEMENTED, "no terminals, and only --rootfs")
        pid_file = f"{request.bundle}/init.pid"
        # A FIFO opens when its other end does: that waits in a thread. Only the writer
        # of stdin may be gone already.
        streams = [os.open(request.stdin or os.devnull, os.O_RDONLY | os.O_NONBLOCK)]
        os.set_blocking(streams[0], True)
        for path in (request.stdout, request.stderr):
            opened = asyncio.to_thread(os.open, path or os.devnull, os.O_WRONLY)
            streams.append(await opened)
        try:
            await runc(
                "create",
                *(f"--bundle={request.bundle}", f"--pid-file={pid_file}", request.id),
                streams=streams,
            )
        finally:
            for stream in streams:
                os.close(stream)
        self._pid = int(await asyncio.to_thread(Path(pid_file).read_text))
        self._status = task_pb2.CREATED
        self._ending = asyncio.create_task(self._end(request.id))
        return shim_pb2.CreateTaskResponse(pid=self._pid)

    async def start(
        self, request: shim_pb2.StartRequest, context: CallContext
    ) -> shim_pb2.StartResponse:
        await runc("start", request.id)
        # A short container may have ended before runc did.
        if self._status == task_pb2.CREATED:
            self._status = task_pb2.RUNNING
        return shim_pb2.StartResponse(pid=self._pid)

    async def wait(
        self, request: shim_pb2.WaitRequest, context: CallContext
    ) -> shim_pb2.WaitResponse:
        ended = await asyncio.shield(self._ending)
        return shim_pb2.WaitResponse(
            exit_status=ended.exit_status, exited_at=ended.exited_at
        )

    async def kill(self, request: shim_pb2.KillRequest, context: CallContext) -> Empty:
        await runc("kill", request.id, str(request.signal))
        return Empty()

    async def delete(
        self, request: shim_pb2.DeleteRequest, context: CallContext
    ) -> shim_pb2.DeleteResponse:
        await runc("delete", request.id)
        ended = await self._ending
        return shim_pb2.DeleteResponse(
            pid=self._pid, exit_status=ended.exit_status, exited_at=ended.exited_at
        )

    def state(
        self, request: shim_pb2.StateRequest, context: CallContext
    ) -> shim_pb2.StateResponse:
        return shim_pb2.StateResponse(id=request.id, pid=self._pid, status=self._status)

    def connect(
        self, request: shim_pb2.ConnectRequest, context: CallContext
    ) -> shim_pb2.ConnectResponse:
        return shim_pb2.ConnectResponse(shim_pid=os.getpid(), task_pid=self._pid)

    def close_io(self, request: shim_pb2.CloseIORequest, context: CallContext) -> Empty:
        return Empty()

    def shutdown(
        self, request: shim_pb2.ShutdownRequest, context: CallContext
    ) -> Empty:
        self._stopped.set()
        return Empty()

    async def _end(self, container: str) -> TaskExit:
        """Wait for the end of the container's init, and tell containerd."""
        _, status = await asyncio.to_thread(os.waitpid, self._pid, 0)
        code = os.waitstatus_to_exitcode(status)
        self._status = task_pb2.STOPPED
        ended = TaskExit(container_id=container, id=container, pid=self._pid)
        # A signal counts as 128 and its number, as in a shell.
        ended.exit_status = code if code >= 0 else 128 - code
        ended.exited_at.GetCurrentTime()
        address = f"unix://{os.environ['TTRPC_ADDRESS']}"
        await publish(address, self._namespace, "/tasks/exit", ended)
        return ended


async def runc(*arguments: str, streams: Sequence[int | None] = (None,) * 3) -> None:
    """Run runc; its container gets `streams`."""
    stdin, stdout, stderr = streams
    process = await asyncio.create_subprocess_exec(
        *("runc", *arguments), stdin=stdin, stdout=stdout, stderr=stderr
    )
    if await process.wait():
        raise StatusError(Code.UNKNOWN, f"runc {arguments[0]}: {process.returncode}")


def start(options: argparse.Namespace) -> None:
    """Start the shim's server, and print its address. containerd waits for that."""
    path = f"/run/containerd/s/python-{os.getpid()}"
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(path)
        listening.listen()
        serve = [sys.argv[0], *sys.argv[1:-1], "serve"]
        subprocess.Popen(
            [sys.executable, *serve, str(listening.fileno())],
            pass_fds=[listening.fileno()],
            start_new_session=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
    Path("address").write_text(f"unix://{path}")
    print(f"unix://{path}", end="")


async def serve(options: argparse.Namespace) -> None:
    """Serve until containerd says so."""
    # Containers become children of this process, which can wait for them then.
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    stopped = asyncio.Event()
    async with Server([bind(TASK, Task(options.namespace, stopped))]) as server:
        await server.listen(socket.socket(fileno=options.fd))
        await stopped.wait()


def delete(options: argparse.Namespace) -> None:
    """Clean up behind a shim that has died, as far as it got."""
    subprocess.run(["runc", "delete", "--force", options.id], check=False)
    killed = shim_pb2.DeleteResponse(exit_status=128 + signal.SIGKILL)
    sys.stdout.buffer.write(killed.SerializeToString())


def main() -> None:
    parser = argparse.ArgumentParser()
    for name in ("namespace", "id", "address", "publish-binary", "bundle"):
        parser.add_argument(f"-{name}")
    parser.add_argument("-debug", action="store_true")
    parser.add_argument("action", choices=("start", "serve", "delete"))
    parser.add_argument("fd", nargs="?", type=int)
    options = parser.parse_args()
    if options.action == "serve":
        asyncio.run(serve(options))
    else:
        {"start": start, "delete": delete}[options.action](options)


if __name__ == "__main__":
    main()
