# SPDX-License-Identifier: Apache-2.0
"""Run a container through containerd's own shim, without containerd.

    python drive_shim.py ROOTFS COMMAND...

The shim is a ttrpc server; where it reports events, this program serves.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from github.com.containerd.containerd.api.runtime.task.v2 import shim_pb2
from github.com.containerd.containerd.api.runtime.task.v2.shim_ttrpc import TaskClient
from github.com.containerd.containerd.api.services.ttrpc.events.v1.events_pb2 import (
    ForwardRequest,
)
from github.com.containerd.containerd.api.services.ttrpc.events.v1.events_ttrpc import (
    EVENTS,
    EventsBase,
)
from google.protobuf.empty_pb2 import Empty

from ttrpc import CallContext, bind
from ttrpc.aio import Client, Server

SHIM = "containerd-shim-runc-v2"


class Events(EventsBase):
    """Prints the topics of the shim's events, and tells when the last has come."""

    def __init__(self) -> None:
        self.deleted = asyncio.Event()

    def forward(self, request: ForwardRequest, context: CallContext) -> Empty:
        print("event:", request.envelope.topic)
        if request.envelope.topic == "/tasks/delete":
            self.deleted.set()
        return Empty()


def write_bundle(bundle: Path, rootfs: str, command: list[str]) -> None:
    """Write the OCI bundle of a container, from the runtime's default."""
    subprocess.run(["runc", "spec"], cwd=bundle, check=True)
    spec = json.loads((bundle / "config.json").read_text())
    spec["process"] |= {"terminal": False, "args": command}
    spec["root"]["path"] = os.path.abspath(rootfs)
    (bundle / "config.json").write_text(json.dumps(spec))


async def read_fifo(path: Path) -> asyncio.StreamReader:
    """Make a FIFO, and return what others write into it."""
    os.mkfifo(path)
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader),
        os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK)),
    )
    return reader


async def start_shim(bundle: Path) -> str:
    """Start a shim, which outlives this program; return its address."""
    process = await asyncio.create_subprocess_exec(
        *(SHIM, "-namespace", "demo", "-id", "one", "-address", "none", "start"),
        cwd=bundle,
        env={**os.environ, "TTRPC_ADDRESS": f"{bundle}/events.sock"},
        stdout=subprocess.PIPE,
    )
    address, _ = await process.communicate()
    return address.decode().strip()


async def main(rootfs: str, command: list[str]) -> int:
    events = Events()
    with tempfile.TemporaryDirectory() as folder:
        bundle = Path(folder)
        write_bundle(bundle, rootfs, command)
        # Here the shim logs, and the container writes.
        await read_fifo(bundle / "log")
        output = await read_fifo(bundle / "output")
        async with Server([bind(EVENTS, events)]) as server:
            await server.listen(f"unix://{bundle}/events.sock")
            address = await start_shim(bundle)
            async with await Client.connect(address, timeout=5) as client:
                task = TaskClient(client)
                path = f"{folder}/output"
                create = shim_pb2.CreateTaskRequest(
                    id="one", bundle=folder, stdout=path, stderr=path
                )
                await task.create(create, timeout=10)
                await task.start(shim_pb2.StartRequest(id="one"), timeout=10)
                ended = await task.wait(shim_pb2.WaitRequest(id="one"))
                print("output:", (await output.read()).decode().strip())
                await task.delete(shim_pb2.DeleteRequest(id="one"), timeout=10)
                await events.deleted.wait()
                await task.shutdown(shim_pb2.ShutdownRequest(id="one"), timeout=10)
    return ended.exit_status


if __name__ == "__main__":
    sys.exit(asyncio.run(main(sys.argv[1], sys.argv[2:])))
