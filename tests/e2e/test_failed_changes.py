# SPDX-License-Identifier: Apache-2.0
"""A change of the network that fails leaves no trace, and a sandbox ends regardless.

Every call for a descriptor, a thread, a process or space fails once, in turn, with and
without the calls after it.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import shutil
import subprocess
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from bench.stage import Stage, agent_pid, footprint
from kata_host.client import AgentClient
from kata_host.ctl.rootfs import make_busybox
from kata_host.guest.local_guest import LocalGuest
from kata_protos import agent_pb2, types_pb2
from tests.helpers.exhaustion import (
    PATIENCE,
    failing_command,
    open_failing,
    start,
    until_same,
)
from tests.helpers.failing_agent import KINDS, Failures
from ttrpc.codes import Code
from ttrpc.errors import StatusError

RULES = b"""*filter
:INPUT ACCEPT [0:0]
:FORWARD ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
-A INPUT -p tcp -m tcp --dport %d -j DROP
COMMIT
"""
EXHAUSTED = (Code.RESOURCE_EXHAUSTED, Code.INTERNAL)


def add_link(stage: Stage) -> None:
    """Make `veth7` in a guest's network namespace."""
    namespace = f"--net=/proc/{agent_pid(stage.guest)}/ns/net"
    link = ["ip", "link", "add", "veth7", "type", "veth", "peer", "name", "peer7"]
    subprocess.run(["nsenter", namespace, *link], check=True)


def interface(number: int) -> agent_pb2.UpdateInterfaceRequest:
    """Return one of two ways to configure `veth7`; all of it differs."""
    addresses = [
        types_pb2.IPAddress(address=f"10.{number}.0.2", mask="24"),
        types_pb2.IPAddress(family=1, address=f"fd00:{number}::2", mask="64"),
    ]
    return agent_pb2.UpdateInterfaceRequest(
        interface=types_pb2.Interface(
            name="veth7", mtu=1400 + number, IPAddresses=addresses
        )
    )


async def refusal(call: Awaitable[object]) -> StatusError | None:
    """Return the error of a call, None for a success."""
    try:
        async with asyncio.timeout(PATIENCE):
            await call
    except StatusError as error:
        return error
    return None


async def every_failure_changes_nothing(
    stage: Stage,
    failures: Failures,
    change: Callable[[int], Awaitable[object]],
    read: Callable[[], Awaitable[object]],
    step: int,
) -> None:
    """Fail each `step`-th call of `change(2)`: `read` returns that of `change(1)`."""
    await change(2)
    await change(1)
    wanted = await read()
    before = footprint(stage.guest)
    for kind, count in itertools.product(KINDS, (1, 4)):
        failed = 0
        for number in range(0, 3000, step):
            name = f"{kind} {number} {count}"
            failures.plan(kind, number, count)
            error = await refusal(change(2))
            injected = failures.stop()
            if error is None:
                await change(1)
            else:
                failed += 1
                assert injected, f"{name}: {error}"
                assert error.code in EXHAUSTED, f"{name}: {error}"
            if not injected:
                break
            assert await read() == wanted, name
            await until_same(stage, before, name)
        else:
            raise AssertionError("the failures have no end")
        assert failed or kind in ("thread", "space"), f"{kind}: nothing failed"


@pytest.mark.slow
async def test_an_interface_is_changed_whole_or_not_at_all(tmp_path: Path) -> None:
    async with open_failing(tmp_path) as (stage, failures):
        agent = stage.client.agent
        add_link(stage)

        async def read() -> str:
            found = await agent.list_interfaces(agent_pb2.ListInterfacesRequest())
            (link,) = [each for each in found.Interfaces if each.name == "veth7"]
            # The kernel gives a link-local address when it likes.
            addresses = [
                each.address
                for each in link.IPAddresses
                if not each.address.startswith("fe80")
            ]
            return f"{link.mtu} {sorted(addresses)}"

        await every_failure_changes_nothing(
            stage,
            failures,
            lambda number: agent.update_interface(interface(number)),
            read,
            step=3,
        )


@pytest.mark.slow
async def test_firewall_rules_are_changed_whole_or_not_at_all(tmp_path: Path) -> None:
    if shutil.which("iptables-save") is None:
        if os.environ.get("CI"):
            pytest.fail("needs iptables")
        pytest.skip("needs iptables")
    async with open_failing(tmp_path) as (stage, failures):
        agent = stage.client.agent

        async def change(number: int) -> object:
            return await agent.set_ip_tables(
                agent_pb2.SetIPTablesRequest(data=RULES % number)
            )

        async def read() -> list[bytes]:
            got = await agent.get_ip_tables(agent_pb2.GetIPTablesRequest())
            return [line for line in got.data.splitlines() if b"--dport" in line]

        await every_failure_changes_nothing(stage, failures, change, read, step=1)


@pytest.mark.slow
async def test_routes_are_changed_all_or_none(tmp_path: Path) -> None:
    """The kernel refuses the second of two routes, and the first one goes again."""
    async with open_failing(tmp_path) as (stage, failures):
        agent = stage.client.agent
        add_link(stage)
        await agent.update_interface(interface(7))
        routes = agent_pb2.Routes(
            Routes=[
                types_pb2.Route(dest="10.8.0.0/16", device="veth7"),
                types_pb2.Route(
                    dest="10.9.0.0/16", device="veth7", gateway="192.0.2.1"
                ),
            ]
        )
        change = agent_pb2.UpdateRoutesRequest(routes=routes)

        async def refused() -> StatusError:
            with pytest.raises(StatusError) as caught:
                async with asyncio.timeout(PATIENCE):
                    await agent.update_routes(change)
            return caught.value

        assert "192.0.2.1" in (await refused()).message
        before = footprint(stage.guest)
        table = await agent.list_routes(agent_pb2.ListRoutesRequest())
        assert "10.8.0.0/16" not in str(table)
        for kind, count in itertools.product(KINDS, (1, 4)):
            for number in range(0, 1000, 3):
                failures.plan(kind, number, count)
                error = await refused()
                failed = failures.stop()
                assert error.code in EXHAUSTED, error
                now = await agent.list_routes(agent_pb2.ListRoutesRequest())
                assert now == table, f"{kind} {number} {count}"
                await until_same(stage, before, f"{kind} {number} {count}")
                if not failed:
                    break


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
async def test_a_sandbox_that_fails_to_end_leaves_nothing(
    scratch: Path, tmp_path: Path, kind: str
) -> None:
    """The agent answers in time and ends; the fixture finds what is left."""
    with contextlib.closing(Failures(tmp_path / "failures")) as failures:
        command = failing_command(failures)
        for number in range(0, 3000, 7):
            with LocalGuest(scratch / "guest", command=command) as guest:
                rootfs = make_busybox(guest.directory / "rootfs")
                async with AgentClient.connect(guest.address) as client:
                    await client.create_sandbox("e2e", share_pids=False)
                    await start(Stage(guest, client, rootfs), "c1")
                    failures.plan(kind, number, 4)
                    async with asyncio.timeout(PATIENCE):
                        with contextlib.suppress(StatusError):
                            await client.destroy_sandbox()
                    assert guest.ending(timeout=PATIENCE) == "exit status 0"
            if not failures.stop():
                return
        raise AssertionError("the failures have no end")
