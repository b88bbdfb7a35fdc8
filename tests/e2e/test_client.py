# SPDX-License-Identifier: Apache-2.0
"""The typed client against a real agent in a local guest."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

import pytest

from kata_host.client import AgentClient, BlockingAgentClient, GuestContainer
from kata_host.client.spec import default_process, default_spec, writable_layer
from kata_host.guest.local_guest import LocalGuest
from ttrpc.errors import Closed, StatusError


@pytest.fixture
def rootfs(guest: LocalGuest) -> str:
    return str(guest.directory / "rootfs")


async def new_container(client: AgentClient, rootfs: str, *args: str) -> GuestContainer:
    storage, root = writable_layer("c1", rootfs)
    spec = default_spec("c1", default_process(args), rootfs=root)
    container = await client.create_container("c1", spec, [storage])
    await container.start()
    return container


async def test_a_command_is_run(client: AgentClient, rootfs: str) -> None:
    script = 'cat; echo "$A" >&2; pwd; exit 9'
    result = await client.run(
        ["sh", "-c", script], rootfs=rootfs, input=b"in\n", env={"A": "x"}, cwd="/tmp"
    )
    assert (result.status, result.stdout, result.stderr) == (9, b"in\n/tmp\n", b"x\n")


async def test_input_that_is_not_read_delays_no_end(
    client: AgentClient, rootfs: str
) -> None:
    result = await client.run(["true"], rootfs=rootfs, input=bytes(8 << 20))
    assert result.status == 0


async def test_much_input_comes_back_unchanged(
    client: AgentClient, rootfs: str
) -> None:
    data = bytes(range(256)) * (5 << 12)
    result = await client.run(["cat"], rootfs=rootfs, input=data)
    assert result.stdout == data


async def test_changes_of_a_command_are_dropped_with_its_container(
    client: AgentClient, rootfs: str
) -> None:
    await client.run(["sh", "-c", "echo x > /etc/new"], rootfs=rootfs)
    result = await client.run(["cat", "/etc/new"], rootfs=rootfs)
    assert result.status == 1
    assert not Path(rootfs, "etc/new").exists()


async def test_a_container_that_does_not_start_is_removed(
    client: AgentClient, rootfs: str
) -> None:
    for _ in range(2):
        with pytest.raises(StatusError, match="/no/such"):
            await client.run(["/no/such"], rootfs=rootfs, container_id="c1")


async def test_a_missing_rootfs_is_named(client: AgentClient) -> None:
    with pytest.raises(StatusError, match="/no/such/root"):
        await client.run(["true"], rootfs="/no/such/root")


async def test_an_exec_has_streams_and_a_status_of_its_own(
    client: AgentClient, rootfs: str
) -> None:
    container = await new_container(client, rootfs, "sleep", "1000")
    script = default_process(["sh", "-c", "cat; echo err >&2; exit 4"])
    executed = await container.exec("e1", script)
    result = await executed.communicate(b"in")
    assert (result.status, result.stdout, result.stderr) == (4, b"in", b"err\n")
    await container.remove()


async def test_a_process_is_signalled(client: AgentClient, rootfs: str) -> None:
    container = await new_container(client, rootfs, "sleep", "1000")
    await container.init.signal(signal.SIGTERM)
    assert await container.init.wait() == 128 + signal.SIGTERM
    await container.remove()


async def test_a_container_is_killed_as_a_whole(
    client: AgentClient, rootfs: str
) -> None:
    script = "trap '' TERM INT; sleep 1000 & sleep 1000"
    container = await new_container(client, rootfs, "sh", "-c", script)
    await container.kill()
    result = await container.init.communicate()
    assert result.status == 137
    await container.remove()


async def test_a_terminal_is_resized(client: AgentClient, rootfs: str) -> None:
    storage, root = writable_layer("c1", rootfs)
    process = default_process(["sh", "-c", "read a; stty size"], terminal=True)
    spec = default_spec("c1", process, rootfs=root)
    async with client.started_container("c1", spec, [storage]) as container:
        await container.init.resize(33, 77)
        await container.init.write_stdin(b"\r")
        output = b"".join([data async for data in container.init.read_stdout()])
        assert await container.init.wait() == 0
    assert b"33 77" in output


async def test_all_output_of_a_terminal_is_stdout_and_in_order(
    client: AgentClient, rootfs: str
) -> None:
    numbers = [b"%d" % number for number in range(1, 2001)]
    script = "seq 1 1000; seq 1001 2000 >&2"
    storage, root = writable_layer("c1", rootfs)
    process = default_process(["sh", "-c", script], terminal=True)
    spec = default_spec("c1", process, rootfs=root)
    async with client.started_container("c1", spec, [storage]) as container:
        result = await container.init.communicate()
    assert (result.stdout.split(), result.stderr) == (numbers, b"")
    container = await new_container(client, rootfs, "sleep", "1000")
    for number in range(10):
        executed = await container.exec(f"e{number}", process)
        result = await executed.communicate()
        assert (result.stdout.split(), result.stderr) == (numbers, b"")
    await container.remove()


async def test_an_unfinished_line_reaches_a_terminal_and_the_end_too(
    client: AgentClient, rootfs: str
) -> None:
    container = await new_container(client, rootfs, "sleep", "1000")
    process = default_process(["sh", "-c", "stty -echo; cat"], terminal=True)
    executed = await container.exec("e1", process)
    result = await executed.communicate(b"abc")
    assert result.stdout.endswith(b"abc")
    await container.remove()


async def test_removing_a_container_ends_its_processes(
    client: AgentClient, rootfs: str
) -> None:
    container = await new_container(client, rootfs, "sleep", "1000")
    await container.remove()
    with pytest.raises(StatusError, match="c1"):
        await container.start()


async def test_a_cancelled_run_removes_its_container(
    client: AgentClient, rootfs: str
) -> None:
    run = asyncio.create_task(
        client.run(["sleep", "1000"], rootfs=rootfs, container_id="c1")
    )
    probe = default_process(["true"])
    while True:  # Until the container runs.
        try:
            await client.container("c1").exec("probe", probe)
        except StatusError:
            assert not run.done()
        else:
            break
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run
    result = await client.run(["true"], rootfs=rootfs, container_id="c1")
    assert result.status == 0


async def test_two_clients_share_an_agent(
    guest: LocalGuest, client: AgentClient, rootfs: str
) -> None:
    container = await new_container(client, rootfs, "sleep", "1000")
    async with AgentClient.connect(guest.address) as other:
        await other.check(timeout=10)
        seen = await other.container("c1").exec("e1", default_process(["echo", "hi"]))
        assert (await seen.communicate()).stdout == b"hi\n"
    await container.remove()


async def test_an_address_that_is_not_served_is_named(scratch: Path) -> None:
    with pytest.raises(Closed, match="missing"):
        await AgentClient.connect(f"unix://{scratch}/missing", timeout=0.05)


def test_the_blocking_client_does_the_same(guest: LocalGuest, rootfs: str) -> None:
    with BlockingAgentClient(guest.address) as client:
        client.check(timeout=10)
        client.create_sandbox("e2e")
        result = client.run(["sh", "-c", "cat; exit 3"], rootfs=rootfs, input=b"hi")
        assert (result.status, result.stdout) == (3, b"hi")
        client.destroy_sandbox()
    with pytest.raises(Closed):
        BlockingAgentClient(f"unix://{guest.directory}/missing", timeout=0.05)
