# SPDX-License-Identifier: Apache-2.0
"""Fuzz the agent's API: changed requests to a local guest, in an order that is valid.

    python -m fuzz.requests [--seconds 30] [--seed NUMBER]

Needs root. A scenario creates a container by a changed request, sends it some more, and
removes it. No answer may be UNKNOWN or "unexpected", the agent answers `Check` at once,
and nothing is left: no descriptor, mount, process, cgroup or file. The first scenario
that fails is made as short as possible and printed.

The guest has the file system of this machine. So nothing is sent that could change the
machine: no time, no swap, no kernel modules, no hooks and no device nodes.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import tempfile
import time
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any, Final

from google.protobuf.message import Message
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from fuzz.left import Left
from fuzz.mutation import Mutation
from fuzz.target import NAME, SANDBOX, Call, Target
from kata_host.client import AgentClient
from kata_host.client.spec import default_process, default_spec, writable_layer
from kata_host.ctl.rootfs import make_busybox
from kata_host.guest.local_guest import LocalGuest
from kata_protos import agent_pb2
from kata_protos.agent_ttrpc import AGENT_SERVICE
from tests.helpers.captured import create_container_requests

SCENARIOS: Final = 100
"""Of one seed."""
LEFT_OUT: Final = frozenset(
    {
        "CreateContainer",
        "CreateSandbox",
        "DestroySandbox",
        "RemoveContainer",
        "GetOOMEvent",
        # These change the machine.
        "AddSwap",
        "AddSwapPath",
        "MemHotplugByProbe",
        "OnlineCPUMem",
        "ReseedRandomDev",
        "ResizeVolume",
        "SetGuestDateTime",
        "SetIPTables",
        "StartTracing",
        "StopTracing",
    }
)
FIXED: Final = frozenset(
    {
        "grpc.CreateSandboxRequest.kernel_modules",
        "grpc.CreateSandboxRequest.guest_hook_path",
        "grpc.Spec.Hooks",
        # The OCI runtime makes mount points in any root, and they stay there.
        "grpc.Root.Path",
    }
)
TEXTS: Final = (
    "",
    NAME,
    "c2",
    "e1",
    "sandbox",
    "/",
    "..",
    "/..",
    "/sandbox",
    "/shared/containers/",
    SANDBOX,
    f"{SANDBOX}/sandbox/storage",
    f"{SANDBOX}/shared/containers/file",
    "/proc",
    "/nonexistent",
    "/tmp",
    "bind",
    "tmpfs",
    "overlay",
    "ephemeral",
    "local",
    "overlayfs",
    "watchable-bind",
    "rbind",
    "ro",
    "size=1m",
    "mode=0700",
    "fsgid=7",
    "lowerdir=",
    "sleep",
    "true",
    "CAP_NET_RAW",
    "RLIMIT_NOFILE",
    "RLIMIT_CPU",
    "pid",
    "user",
    "mount",
    "root",
    "0",
    "0-1",
    "99999999999999999999",
    "-1",
    "a:b:c",
    "system.slice:kata:x",
    "lo",
    "127.0.0.1",
    "::1/128",
    "termination_log",
    "json",
)


def scenarios(rootfs: Path) -> st.SearchStrategy[tuple[Call, list[Call]]]:
    """Return creations of a container, each with calls for it."""
    mutation = Mutation((*TEXTS, os.fspath(rootfs)), FIXED)
    creations = [*_creations(rootfs)]
    create = st.sampled_from(range(len(creations))).flatmap(
        lambda number: mutation.of(creations[number])
    )
    calls = [
        mutation.of(request).map(partial(Call, method))
        for method, request in _requests(rootfs).items()
    ]
    return st.tuples(
        create.map(partial(Call, "CreateContainer")),
        st.lists(st.one_of(calls), max_size=6).map(
            lambda them: [
                Call(
                    "StartContainer",
                    agent_pb2.StartContainerRequest(container_id=NAME),
                ),
                *them,
            ]
        ),
    )


def _creations(rootfs: Path) -> list[agent_pb2.CreateContainerRequest]:
    """Return a plain request, and those of real runtimes with a root that is there."""
    layer, root = writable_layer(NAME, os.fspath(rootfs))
    spec = default_spec(NAME, default_process(["sleep", "1000"]), rootfs=root)
    base = f"{SANDBOX}/sandbox"
    storages = [
        layer,
        agent_pb2.Storage(
            driver="ephemeral", fstype="tmpfs", mount_point=f"{base}/memory"
        ),
        agent_pb2.Storage(driver="local", mount_point=f"{base}/local"),
    ]
    plain = agent_pb2.CreateContainerRequest(
        container_id=NAME, exec_id=NAME, OCI=spec, storages=storages
    )
    found = [plain]
    for captured in create_container_requests().values():
        request = agent_pb2.CreateContainerRequest()
        request.CopyFrom(plain)
        request.OCI.CopyFrom(captured.OCI)
        request.OCI.ClearField("Hooks")
        request.OCI.Root.CopyFrom(spec.Root)
        del request.OCI.Mounts[:]
        request.OCI.Mounts.extend(
            mount for mount in captured.OCI.Mounts if not mount.source.startswith("/")
        )
        request.OCI.Linux.ClearField("Devices")
        del request.OCI.Process.Args[:]
        request.OCI.Process.Args.extend(["sleep", "1000"])
        found.append(request)
    return found


def _requests(rootfs: Path) -> dict[str, Message]:
    """Return a valid request, or an empty one, for each method."""
    pb = agent_pb2
    given: dict[str, Message] = {
        "ExecProcess": pb.ExecProcessRequest(
            container_id=NAME, exec_id="e1", process=default_process(["true"])
        ),
        "CopyFile": pb.CopyFileRequest(
            path=f"{SANDBOX}/shared/containers/file",
            file_size=1,
            data=b"x",
            file_mode=0o100644,
            dir_mode=0o755,
        ),
        "UpdateEphemeralMounts": pb.UpdateEphemeralMountsRequest(
            storages=[
                pb.Storage(
                    driver="ephemeral",
                    fstype="tmpfs",
                    mount_point=f"{SANDBOX}/sandbox/memory",
                    options=["size=1m"],
                )
            ]
        ),
        "GetDiagnosticData": pb.GetDiagnosticDataRequest(
            container_id=NAME, log_type="termination_log"
        ),
    }
    found: dict[str, Message] = {}
    for name, method in AGENT_SERVICE.methods.items():
        if name in LEFT_OUT:
            continue
        request: Any = given.get(name) or method.request_type()
        if "container_id" in request.DESCRIPTOR.fields_by_name:
            request.container_id = NAME
        found[name] = request
    return found


@contextlib.asynccontextmanager
async def open_target() -> AsyncIterator[Target]:
    with tempfile.TemporaryDirectory(prefix="fuzz-") as name:
        rootfs = make_busybox(Path(name) / "rootfs")
        parameters = ["agent.hotplug_timeout=100ms"]
        with LocalGuest(Path(name) / "guest", parameters=parameters) as guest:
            async with AgentClient.connect(guest.address) as client:
                yield Target(guest, client, rootfs)


def fuzz(seconds: float, first_seed: int) -> None:
    """Play scenarios for a time. Raises the failure of a minimal one."""
    with asyncio.Runner() as runner:
        stack = contextlib.AsyncExitStack()
        target = runner.run(stack.enter_async_context(open_target()))
        try:
            play = scenarios(target.rootfs)
            before = runner.run(_warm_up(target, play))
            end = time.monotonic() + seconds
            number = first_seed
            while time.monotonic() < end:
                _check(runner, target, play, before, number)
                number += 1
        finally:
            runner.run(stack.aclose())
            codes = {str(code): count for code, count in target.codes.items()}
            print(f"seeds {first_seed} to {number}: {target.calls} calls, {codes}")


async def _warm_up(target: Target, play: Any) -> Left:
    """Make what the agent keeps, and return what it holds then."""
    create = Call("CreateContainer", _creations(target.rootfs)[0])
    await target.reset()
    await target.send(create)
    for method, request in _requests(target.rootfs).items():
        await target.send(Call(method, request))
    remove = agent_pb2.RemoveContainerRequest(container_id=NAME)
    await target.send(Call("RemoveContainer", remove))
    await asyncio.sleep(0.5)
    return await target.reset()


def _check(
    runner: asyncio.Runner,
    target: Target,
    play: st.SearchStrategy[tuple[Call, list[Call]]],
    before: Left,
    number: int,
) -> None:
    @seed(number)
    @settings(
        max_examples=SCENARIOS,
        phases=(Phase.generate, Phase.shrink),
        print_blob=False,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(play)
    def check(scenario: tuple[Call, list[Call]]) -> None:
        runner.run(target.play(*scenario, before))

    check()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    arguments = parser.parse_args()
    fuzz(arguments.seconds, arguments.seed)


if __name__ == "__main__":
    main()
