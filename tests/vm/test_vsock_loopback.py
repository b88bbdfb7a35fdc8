# SPDX-License-Identifier: Apache-2.0
"""A guest whose kernel lets processes connect to the guest's own vsock ports.

The agent's ports answer the host there, and no process of the guest.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from kata_host.client import AgentClient
from kata_host.guest.image import modules
from kata_host.guest.image.store import Image
from kata_host.guest.vm_guest import VmGuest
from kata_host.guest.vsock.__main__ import FIRST_GUEST_CID as GUEST_CID
from tests.helpers import vm
from tests.helpers.guest_container import request, run
from tests.helpers.shell import Shell

pytestmark = [pytest.mark.vm, pytest.mark.slow]

STREAMS = 1027
PORTS = (vm.AGENT, vm.LOG, vm.CONSOLE, STREAMS)
OPTIONS = (
    f"agent.log_vport={vm.LOG}",
    f"agent.debug_console_vport={vm.CONSOLE}",
    f"agent.passfd_listener_port={STREAMS}",
)
UNPRIVILEGED = 1000

PROBE = """
import errno, json, socket, sys

def probe(cid, port, text):
    connection = socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM)
    connection.settimeout(20)
    try:
        connection.connect((cid, port))
        connection.sendall(text)
        return connection.recv(4096).decode(errors="replace") or "closed"
    except OSError as error:
        return errno.errorcode.get(error.errno, str(error))

def connects(cid, port):
    with socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM) as connection:
        connection.connect((cid, port))
        return echo.accept()[1][0]

# A Health.Check, which is also a line for a shell.
body = b"\\x0a\\x0bgrpc.Health\\x12\\x05Check"
call = bytes([0, 0, 0, len(body), 0, 0, 0, 1, 1, 0]) + body
texts = {1024: call}
echo = socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM)
echo.bind((socket.VMADDR_CID_ANY, 5000))
echo.listen()
print(json.dumps({
    "loopback": [connects(cid, 5000) for cid in (1, OWN)],
    "answers": [
        [cid, port, probe(cid, port, texts.get(port, b"id; echo uid\\n"))]
        for cid in (1, OWN)
        for port in PORTS
        for _ in range(3)
    ],
}))
"""


@pytest.fixture(scope="module")
def loopback_guest(
    image: Image, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[VmGuest]:
    directory = tmp_path_factory.mktemp("loopback")
    with vm.guest_with_loopback(image, directory, *OPTIONS) as guest:
        yield guest


def test_the_image_has_no_loopback(image: Image) -> None:
    assert "vsock_loopback" not in modules.AVAILABLE
    assert not list((image.tree / "usr/lib/modules").rglob("vsock_loopback*"))


async def test_no_port_of_the_agent_answers_a_process_of_a_container(
    loopback_guest: VmGuest,
) -> None:
    base = loopback_guest.socket
    with (
        Shell(vm.connect(base, vm.CONSOLE)) as shell,
        vm.connect(base, vm.LOG) as log,
    ):
        assert "vsock_loopback" in shell.run("cat /proc/modules")
        log.settimeout(60)
        lines = log.makefile("rb")
        async with AgentClient.connect(loopback_guest.address) as client:
            await client.create_sandbox("loopback")
            script = PROBE.replace("PORTS", repr(PORTS)).replace("OWN", str(GUEST_CID))
            message = request("")
            process = message.OCI.Process
            process.Args[:] = ["python3", "-c", script]
            process.User.UID = process.User.GID = UNPRIVILEGED
            process.ClearField("Capabilities")
            process.Capabilities.SetInParent()
            process.NoNewPrivileges = True
            result = await run(client, message)
        assert result.status == 0, result
        found = json.loads(result.stdout)
        # The kernel carries such connections: the process reaches a port of its own.
        assert found["loopback"] == [1, 1]
        assert len(found["answers"]) == 3 * 2 * len(PORTS)
        refused = ("closed", "ECONNRESET", "EPIPE")
        assert [a for a in found["answers"] if a[2] not in refused] == []
        # The host's connections, old ones and new ones, are served as before.
        assert shell.run("echo $((6 * 7))") == "42"
        messages = set()
        while "connection is not the host's" not in messages:
            messages.add(json.loads(lines.readline())["msg"])
        lines.close()
    async with AgentClient.connect(loopback_guest.address) as client:
        await client.check()
    for port in (vm.LOG, STREAMS):
        vm.connect(base, port).close()
    with Shell(vm.connect(base, vm.CONSOLE)) as shell:
        assert shell.run("id -u") == "0"
