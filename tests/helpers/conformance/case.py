# SPDX-License-Identifier: Apache-2.0
"""One line of the conformance table: a situation, a call, and its outcome.

    @case("StartContainer", "repeated", Code.FAILED_PRECONDITION, "cannot start")
    async def started_twice(s: Subject) -> None:
        await s.started("c1")
        await s.start("c1")

The function brings the agent into the situation and then makes the call. Its status
must be the first code. Another agent may also answer one of `others`, the codes that
Kata's own agents are known to answer. The text is only checked with this agent.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from google.protobuf.empty_pb2 import Empty

from kata_host.client import AgentClient
from kata_host.client.spec import default_process, default_spec
from kata_protos import agent_pb2, oci_pb2
from ttrpc.aio import Client
from ttrpc.codes import Code
from ttrpc.errors import Closed, StatusError, TtrpcError
from ttrpc.service import Cardinality, Method

SITUATIONS: Final = (
    "happy",
    "bad request",
    "unknown id",
    "wrong state",
    "repeated",
    "concurrent",
    "cancelled",
)
PATIENCE: Final = float(os.environ.get("CONFORMANCE_PATIENCE", "60"))
"""Seconds for a case; a guest may be emulated in software."""
CLEANING_PATIENCE: Final = 20.0
"""Seconds to remove the containers of a case."""
NAMESPACES: Final = ("ipc", "uts", "mount")
"""The namespaces that Kata's runtimes leave in a spec: that of pids is the agent's."""

Act = Callable[["Subject"], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class Case:
    rpc: str
    situation: str
    act: Act
    code: Code
    text: str
    """A regular expression that is found in the message of this agent."""
    others: tuple[Code, ...]
    machine: bool
    """The case sets the clock, which no local guest may do."""
    own_guest: bool
    """The case ends the agent or creates its sandbox again."""

    @property
    def id(self) -> str:
        return f"{self.rpc}-{self.situation}-{self.act.__name__}"

    @property
    def begins_sandbox(self) -> bool:
        """Whether the case is for an agent that has no sandbox yet.

        An agent that cannot be restarted has one from the cases before.
        """
        return self.rpc == "CreateSandbox" and self.situation != "wrong state"


CASES: Final[list[Case]] = []


def case(
    rpc: str,
    situation: str,
    code: Code = Code.OK,
    text: str = "",
    *others: Code,
    machine: bool = False,
    own_guest: bool = False,
) -> Callable[[Act], Act]:
    """Return a decorator that enters a function into the table."""
    assert situation in SITUATIONS

    def enter(act: Act) -> Act:
        CASES.append(Case(rpc, situation, act, code, text, others, machine, own_guest))
        return act

    return enter


def stateless(
    rpc: str,
    call: Act,
    code: Code = Code.OK,
    text: str = "",
    *others: Code,
    machine: bool = False,
) -> None:
    """Enter the lines of a call that may be made at any time, any number of times."""

    async def again(s: Subject) -> None:
        with contextlib.suppress(StatusError):
            await call(s)
        await call(s)

    async def ten_at_once(s: Subject) -> None:
        results = await asyncio.gather(
            *(call(s) for _ in range(10)), return_exceptions=True
        )
        for result in results:
            if isinstance(result, BaseException):
                raise result

    async def given_up(s: Subject) -> None:
        await s.abandoned(call)
        await call(s)

    for situation, act in (
        ("repeated", again),
        ("concurrent", ten_at_once),
        ("cancelled", given_up),
    ):
        case(rpc, situation, code, text, *others, machine=machine)(act)


class Subject:
    """The agent that is tested, with the steps that many cases have in common."""

    def __init__(
        self,
        client: AgentClient,
        address: str,
        rootfs: str,
        *,
        is_ours: bool,
        bring_rootfs: Callable[[AgentClient], Awaitable[None]] | None = None,
    ) -> None:
        self.client = client
        self.address = address
        self.agent = client.agent
        self.rootfs = rootfs
        self.is_ours = is_ours
        self._bring_rootfs = bring_rootfs
        self._containers: set[str] = set()
        self.is_lost = False
        """Whether the agent hangs or has gone, so that no more cases can be tried."""

    async def restore_rootfs(self) -> None:
        """Copy the root file system again: a new sandbox may have removed it."""
        if self._bring_rootfs is not None:
            await self._bring_rootfs(self.client)

    async def call_unknown(self, service: str, name: str) -> None:
        """Call a method that no agent has."""
        method: Method[Empty, Empty] = Method(
            name, service, Cardinality.UNARY_UNARY, Empty, Empty
        )
        async with await Client.connect(self.address) as client:
            await client.call(method, Empty())

    def creation(self, name: str, *args: str) -> agent_pb2.CreateContainerRequest:
        """Return a request for a container, which is removed at the end of the case."""
        self._containers.add(name)
        process = default_process(args or ("sleep", "1000"))
        spec = default_spec(name, process, rootfs=self.rootfs, readonly=True)
        spec.Linux.ClearField("Namespaces")
        spec.Linux.Namespaces.extend(
            oci_pb2.LinuxNamespace(Type=kind) for kind in NAMESPACES
        )
        return agent_pb2.CreateContainerRequest(
            container_id=name, exec_id=name, OCI=spec
        )

    async def output_of(self, *args: str, capabilities: tuple[str, ...] = ()) -> bytes:
        """Run a program in a container of its own; return its output.

        Raises `AssertionError` when it fails.
        """
        request = self.creation("helper", *args)
        held = request.OCI.Process.Capabilities
        for each in (held.Bounding, held.Effective, held.Permitted):
            each.extend(capabilities)
        await self.agent.create_container(request)
        await self.start("helper")
        output = await self.read_all("helper")
        errors = await self.read_all("helper", stderr=True)
        assert await self.wait("helper") == 0, errors
        await self.remove("helper")
        return output

    async def created(self, name: str, *args: str) -> None:
        await self.agent.create_container(self.creation(name, *args))

    async def started(self, name: str, *args: str) -> None:
        await self.created(name, *args)
        await self.start(name)

    async def start(self, name: str) -> None:
        await self.agent.start_container(
            agent_pb2.StartContainerRequest(container_id=name)
        )

    async def execute(self, name: str, exec_id: str, *args: str) -> None:
        await self.agent.exec_process(
            agent_pb2.ExecProcessRequest(
                container_id=name,
                exec_id=exec_id,
                process=default_process(args or ("sleep", "1000")),
            )
        )

    async def pause(self, name: str) -> None:
        await self.agent.pause_container(
            agent_pb2.PauseContainerRequest(container_id=name)
        )

    async def resume(self, name: str) -> None:
        await self.agent.resume_container(
            agent_pb2.ResumeContainerRequest(container_id=name)
        )

    async def signal(self, name: str, exec_id: str, number: int) -> None:
        await self.agent.signal_process(
            agent_pb2.SignalProcessRequest(
                container_id=name, exec_id=exec_id, signal=number
            )
        )

    async def wait(self, name: str, exec_id: str = "") -> int:
        response = await self.agent.wait_process(
            agent_pb2.WaitProcessRequest(container_id=name, exec_id=exec_id)
        )
        return response.status

    async def read(
        self, name: str, exec_id: str = "", *, stderr: bool = False
    ) -> bytes:
        """Make one call to read, and return the bytes."""
        call = self.agent.read_stderr if stderr else self.agent.read_stdout
        request = agent_pb2.ReadStreamRequest(
            container_id=name, exec_id=exec_id, len=32 << 10
        )
        return (await call(request)).data

    async def read_all(
        self, name: str, exec_id: str = "", *, stderr: bool = False
    ) -> bytes:
        chunks = []
        while chunk := await self.read(name, exec_id, stderr=stderr):
            chunks.append(chunk)
        return b"".join(chunks)

    async def read_terminal(self, name: str) -> bytes:
        """Read a terminal to its end, which another agent may answer with an error.

        The kernel ends a terminal with EIO (man 4 pts), which is an end for a runtime.
        """
        chunks = []
        try:
            while chunk := await self.read(name):
                chunks.append(chunk)
        except StatusError:
            if self.is_ours or not chunks:
                raise
        return b"".join(chunks)

    async def write(self, name: str, exec_id: str, data: bytes) -> int:
        response = await self.agent.write_stdin(
            agent_pb2.WriteStreamRequest(container_id=name, exec_id=exec_id, data=data)
        )
        return response.len

    async def close_stdin(self, name: str, exec_id: str = "") -> None:
        await self.agent.close_stdin(
            agent_pb2.CloseStdinRequest(container_id=name, exec_id=exec_id)
        )

    async def remove(self, name: str, timeout: int = 0) -> None:
        await self.agent.remove_container(
            agent_pb2.RemoveContainerRequest(container_id=name, timeout=timeout)
        )

    async def settled(self) -> None:
        """Return when the agent has begun all calls that were made before.

        An agent begins the requests of one connection in order.
        """
        await asyncio.sleep(0)
        await self.client.check()

    async def abandoned(self, call: Act) -> None:
        """Make a call over a connection of its own, and hang up while it runs.

        ttrpc has no other way to cancel: a client that stops waiting sends nothing.
        """
        async with AgentClient.connect(self.address) as client:
            other = Subject(client, self.address, self.rootfs, is_ours=self.is_ours)
            task = asyncio.ensure_future(call(other))
            await other.settled()
        with contextlib.suppress(TtrpcError):
            await task
        self._containers |= other._containers
        # When it answers, the agent has seen the end of the other connection too.
        await self.client.check()

    async def clean_up(self) -> None:
        """Remove the containers of a case, whatever their state."""
        for name in self._containers:
            # A case that ended the agent has left nothing to remove.
            with contextlib.suppress(TtrpcError):
                await self.signal(name, "", 9)
            with contextlib.suppress(TtrpcError):
                await self.remove(name)


async def check(case: Case, subject: Subject) -> None:
    """Run a case. Raises `AssertionError` for an outcome that is not expected."""
    try:
        code, text = await _outcome(case, subject)
    finally:
        await _clean_up(subject)
    expected = (case.code,) if subject.is_ours else (case.code, *case.others)
    assert code in expected, f"{code!r} {text!r} instead of {expected}"
    if subject.is_ours and case.text:
        assert re.search(case.text, text), f"{text!r} does not match {case.text!r}"


async def _outcome(case: Case, subject: Subject) -> tuple[int, str]:
    """Return the status of a case and its text."""
    try:
        async with asyncio.timeout(PATIENCE):
            try:
                await case.act(subject)
            except StatusError as status:
                code, text = status.code, status.message
            else:
                code, text = Code.OK, ""
            # After every case the agent serves, and no other case was disturbed.
            if not case.own_guest:
                await subject.client.check()
    except TimeoutError:
        subject.is_lost = True
        raise AssertionError(f"no answer within {PATIENCE:g} s") from None
    except Closed:
        subject.is_lost = True
        raise
    return code, text


async def _clean_up(subject: Subject) -> None:
    try:
        async with asyncio.timeout(CLEANING_PATIENCE):
            await subject.clean_up()
    except TimeoutError:
        subject.is_lost = True
        raise AssertionError(
            f"containers not removed within {CLEANING_PATIENCE:g} s"
        ) from None
