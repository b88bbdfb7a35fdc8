# SPDX-License-Identifier: Apache-2.0
"""A pod's whole life, call by call as Kata's runtimes make them, in guests of its own.

The Go runtime shares its directory by virtio-fs, lets the containers see each
other's processes, and ends the sandbox. The Rust runtime has disks for root file
systems and copies files in, names no exec for a container's init, and kills the VM.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from kata_host.client import AgentClient
from kata_host.client.spec import default_process
from kata_host.client.upload import upload
from kata_host.ctl.rootfs import make_busybox
from kata_host.guest.image.store import Image
from kata_host.guest.vm_command import BRIDGE
from kata_host.guest.vm_guest import VmGuest
from kata_protos import agent_pb2, health_pb2, oci_pb2, types_pb2
from kata_protos.agent_pb2 import Storage
from tests.helpers import vm
from tests.helpers.network import interface
from tests.helpers.plug import Plug
from tests.helpers.pod import SANDBOX, SHARED, SHM, WORKLOAD, Pod
from ttrpc.codes import Code
from ttrpc.errors import StatusError, TtrpcError

pytestmark = [pytest.mark.vm, pytest.mark.slow, pytest.mark.root]

MAC, ADDRESS, GATEWAY = "02:00:00:00:20:01", "10.0.2.15/24", "10.0.2.2"
GATEWAY_MAC = "52:55:0a:00:02:02"
DNS = ["nameserver 10.96.0.10", "search default.svc.cluster.local", "options ndots:5"]
HOSTS = b"127.0.0.1 localhost\n10.0.2.15 web-0\n"
PAUSE = """#!/bin/sh
trap 'exit 0' TERM
while :; do sleep 1000 & wait $!; done
"""
WEB = """
trap 'echo usr1' USR1
trap 'echo bye; echo because > /dev/termination-log; exit 3' TERM
echo "$(hostname) says $GREETING"
cat /etc/hosts >&2
read line; echo "got $line"; cat > /tmp/rest; echo "and $(cat /tmp/rest)"
while :; do sleep 1000 & wait $!; done
"""


@dataclass(frozen=True, slots=True)
class Habits:
    """The choices of a runtime where the API has more than one way."""

    init: str
    """Its exec id for the first process of the workload's container."""
    read_size: int
    closes_stdin: bool
    """By CloseStdin; otherwise by an empty write."""
    shares_pids: bool


GO = Habits(WORKLOAD, 32 << 10, closes_stdin=True, shares_pids=True)
RUST = Habits("", 8 << 10, closes_stdin=False, shares_pids=False)


class Runtime:
    """One connection for all calls, many of them at the same time."""

    def __init__(self, client: AgentClient, habits: Habits) -> None:
        self.client = client
        self.agent = client.agent
        self.habits = habits
        self.slowest_check = 0.0

    async def monitor(self) -> None:
        """Check the agent again and again, as runtimes do every few seconds."""
        while True:
            start = time.monotonic()
            await self.client.check(30)
            self.slowest_check = max(self.slowest_check, time.monotonic() - start)
            await asyncio.sleep(0.1)

    async def update_interface(self, pci_path: str) -> None:
        message = interface(
            device="eth0",
            name="eth0",
            mtu=1450,
            hwAddr=MAC,
            devicePath=pci_path,
            type="veth",
            addresses=[ADDRESS, "fec0::15/64"],
        )
        answer = await self.agent.update_interface(
            agent_pb2.UpdateInterfaceRequest(interface=message)
        )
        assert answer == message

    async def update_routes(self) -> None:
        routes = [
            types_pb2.Route(gateway=GATEWAY, device="eth0"),
            types_pb2.Route(
                dest="10.0.2.0/24", device="eth0", source="10.0.2.15", scope=253
            ),
            types_pb2.Route(
                dest="fec0::/64", device="eth0", family=types_pb2.v6, flags=0x10
            ),
        ]
        answer = await self.agent.update_routes(
            agent_pb2.UpdateRoutesRequest(routes=agent_pb2.Routes(Routes=routes))
        )
        assert GATEWAY in [r.gateway for r in answer.Routes]

    async def add_neighbours(self) -> None:
        neighbour = types_pb2.ARPNeighbor(
            toIPAddress=types_pb2.IPAddress(address=GATEWAY),
            device="eth0",
            lladdr=GATEWAY_MAC,
            state=0x80,
        )
        await self.agent.add_arp_neighbors(
            agent_pb2.AddARPNeighborsRequest(
                neighbors=agent_pb2.ARPNeighbors(ARPNeighbors=[neighbour])
            )
        )

    async def create_sandbox(self, *storages: Storage) -> None:
        shm = Storage(
            driver="ephemeral",
            source="shm",
            fstype="tmpfs",
            options=["noexec", "nosuid", "nodev", "mode=1777", "size=67108864"],
            mount_point=SHM,
        )
        await self.agent.create_sandbox(
            agent_pb2.CreateSandboxRequest(
                hostname="web-0",
                dns=DNS,
                storages=[*storages, shm],
                sandbox_pidns=self.habits.shares_pids,
                sandbox_id=SANDBOX,
            )
        )
        details = await self.agent.get_guest_details(
            agent_pb2.GuestDetailsRequest(mem_block_size=True, mem_hotplug_probe=True)
        )
        # The Go runtime refuses a guest without this version.
        assert details.agent_details.supports_seccomp
        assert details.mem_block_size_bytes == 128 << 20

    async def run(self, name: str, spec: oci_pb2.Spec, *storages: Storage) -> None:
        """Create and start a container."""
        online = agent_pb2.OnlineCPUMemRequest(wait=False, nb_cpus=1)
        await self.agent.online_cpu_mem(online)
        await self.agent.create_container(
            agent_pb2.CreateContainerRequest(
                container_id=name,
                exec_id=name if self.habits.init else "",
                storages=storages,
                OCI=spec,
                sandbox_pidns=self.habits.shares_pids,
            )
        )
        await self.agent.start_container(
            agent_pb2.StartContainerRequest(container_id=name)
        )

    def stdout(self, exec_id: str | None = None) -> Output:
        return Output(self, exec_id, is_stderr=False)

    def stderr(self) -> Output:
        return Output(self, None, is_stderr=True)

    def exec_id(self, given: str | None) -> str:
        return self.habits.init if given is None else given

    async def write(self, data: bytes, exec_id: str | None = None) -> None:
        answer = await self.agent.write_stdin(
            agent_pb2.WriteStreamRequest(
                container_id=WORKLOAD, exec_id=self.exec_id(exec_id), data=data
            )
        )
        assert answer.len == len(data)

    async def end_input(self) -> None:
        if not self.habits.closes_stdin:
            await self.write(b"")
            return
        await self.agent.close_stdin(
            agent_pb2.CloseStdinRequest(container_id=WORKLOAD, exec_id=self.habits.init)
        )

    async def signal(
        self, number: int, exec_id: str | None = None, name: str = WORKLOAD
    ) -> None:
        await self.agent.signal_process(
            agent_pb2.SignalProcessRequest(
                container_id=name, exec_id=self.exec_id(exec_id), signal=number
            )
        )

    async def wait(self, exec_id: str | None = None, name: str = WORKLOAD) -> int:
        answer = await self.agent.wait_process(
            agent_pb2.WaitProcessRequest(
                container_id=name, exec_id=self.exec_id(exec_id)
            )
        )
        return answer.status

    async def exec(
        self, script: str, exec_id: str, *, terminal: bool = False
    ) -> tuple[int, str]:
        """Run a script in the workload's container; return its status and output."""
        process = default_process(["sh", "-c", script], terminal=terminal)
        await self.agent.exec_process(
            agent_pb2.ExecProcessRequest(
                container_id=WORKLOAD, exec_id=exec_id, process=process
            )
        )
        if terminal:
            await self.agent.tty_win_resize(
                agent_pb2.TtyWinResizeRequest(
                    container_id=WORKLOAD, exec_id=exec_id, row=33, column=77
                )
            )
            await self.write(b"go\n", exec_id)
        said = await self.stdout(exec_id).rest()
        return await self.wait(exec_id), said.decode()

    async def update(self, memory: int) -> None:
        resources = oci_pb2.LinuxResources(
            Memory=oci_pb2.LinuxMemory(Limit=memory),
            CPU=oci_pb2.LinuxCPU(Shares=1024, Quota=150_000, Period=100_000),
        )
        await self.agent.update_container(
            agent_pb2.UpdateContainerRequest(container_id=WORKLOAD, resources=resources)
        )

    async def memory_limit(self) -> int:
        answer = await self.agent.stats_container(
            agent_pb2.StatsContainerRequest(container_id=WORKLOAD)
        )
        assert answer.cgroup_stats.cpu_stats.cpu_usage.total_usage > 0
        assert answer.cgroup_stats.pids_stats.current >= 1
        return answer.cgroup_stats.memory_stats.usage.limit

    async def oom_event(self) -> str:
        answer = await self.agent.get_oom_event(agent_pb2.GetOOMEventRequest())
        return answer.container_id

    async def remove(self, name: str) -> None:
        await self.agent.remove_container(
            agent_pb2.RemoveContainerRequest(container_id=name, timeout=0)
        )


class Output:
    """A stream of the workload, read without a pause."""

    def __init__(
        self, runtime: Runtime, exec_id: str | None, *, is_stderr: bool
    ) -> None:
        agent = runtime.agent
        self._read = agent.read_stderr if is_stderr else agent.read_stdout
        self._request = agent_pb2.ReadStreamRequest(
            container_id=WORKLOAD,
            exec_id=runtime.exec_id(exec_id),
            len=runtime.habits.read_size,
        )
        self._seen = b""

    async def until(self, text: bytes) -> bytes:
        """Read until `text` has come; return all up to its end."""
        while text not in self._seen:
            data = (await self._read(self._request)).data
            assert data, f"ended before {text!r}, after {self._seen!r}"
            self._seen += data
        before, _, self._seen = self._seen.partition(text)
        return before + text

    async def rest(self) -> bytes:
        """Read to the end, which is a response without data."""
        while data := (await self._read(self._request)).data:
            self._seen += data
        return self._seen


@contextlib.asynccontextmanager
async def runtime(guest: VmGuest, habits: Habits) -> AsyncIterator[Runtime]:
    """A runtime that is connected to the agent and checks it again and again."""
    async with AgentClient.connect(guest.address) as client:
        runtime = Runtime(client, habits)
        await client.check(30)
        monitor = asyncio.create_task(runtime.monitor())
        try:
            yield runtime
            # A check failed or took too long, at which a runtime ends the pod.
            assert not monitor.done(), monitor.exception()
            assert runtime.slowest_check < 5
        finally:
            monitor.cancel()
            await asyncio.wait([monitor])


async def live(runtime: Runtime) -> None:
    """The life of a pod between its start and its end."""
    stdout, stderr = runtime.stdout(), runtime.stderr()
    assert await stdout.until(b"\n") == b"web-0 says hello\n"
    assert await stderr.until(HOSTS) == HOSTS
    await runtime.write(b"a line\n")
    await stdout.until(b"got a line\n")
    await runtime.write(b"more")
    await runtime.end_input()
    await stdout.until(b"and more\n")
    await runtime.signal(10)
    await stdout.until(b"usr1\n")

    # An exec with a terminal, as `kubectl exec -it`.
    script = "read word; stty size; tty; exit 5"
    status, said = await runtime.exec(script, "9f1c", terminal=True)
    assert status == 5
    assert "33 77\r\n/dev/pts/0\r\n" in said
    await see_surroundings(runtime)

    assert await runtime.memory_limit() == 128 << 20
    oom = asyncio.create_task(runtime.oom_event())
    await runtime.update(memory=48 << 20)
    assert await runtime.memory_limit() == 48 << 20
    status, _ = await runtime.exec("dd if=/dev/zero of=/dev/null bs=100M", "oom")
    assert status == 137
    assert await oom == WORKLOAD

    remount = Storage(
        driver="ephemeral",
        source="shm",
        fstype="tmpfs",
        options=["remount", f"size={32 << 20}"],
        mount_point=SHM,
    )
    await runtime.agent.update_ephemeral_mounts(
        agent_pb2.UpdateEphemeralMountsRequest(storages=[remount])
    )
    _, said = await runtime.exec("df -k /dev/shm", "df")
    assert " 32768 " in said

    # At the exit both streams end, and only then the runtime asks for the status.
    await runtime.signal(15)
    assert await stdout.rest() == b"bye\n"
    assert await stderr.rest() == b""
    assert await runtime.wait() == 3


async def see_surroundings(runtime: Runtime) -> None:
    """Check that the workload sees everything that the pod was given."""
    script = """
        cat /etc/resolv.conf
        grep Seccomp: /proc/self/status
        unshare -m true 2>&1
        cat /proc/sys/net/ipv4/ping_group_range
        ip address show dev eth0
        cat /var/run/secrets/kubernetes.io/serviceaccount/token
        ping -c 1 -W 3 10.0.2.2 | grep received
        ls /sys/fs/cgroup | head -n 1
        ps -o args | grep -c '/[p]ause'
    """
    status, said = await runtime.exec(script, "look")
    lines = said.splitlines()
    assert status in (0, 1)  # the status of grep: 0 if the pause process is seen
    assert lines[: len(DNS)] == DNS
    assert "Seccomp:\t2" in lines
    assert "unshare: unshare(0x20000): Operation not permitted" in lines
    assert "0\t2147483647" in lines
    assert f"inet {ADDRESS} " in said
    assert "a token" in lines
    assert " 1 packets received" in said
    assert (lines[-1] != "0") is runtime.habits.shares_pids


def make_rootfs(directory: Path, *, pause: bool) -> Path:
    root = make_busybox(directory)
    for name in ("hosts", "hostname", "resolv.conf"):
        (root / "etc" / name).write_text("")
    (root / "var/run/secrets/kubernetes.io/serviceaccount").mkdir(parents=True)
    if pause:
        (root / "pause").write_text(PAUSE)
        (root / "pause").chmod(0o755)
    return root


def make_files(directory: Path) -> None:
    """The files that a kubelet writes for a pod, the token as in a volume."""
    names = Pod("", str(directory))
    for name, content in (("resolv.conf", "\n".join(DNS) + "\n"), ("hostname", "x\n")):
        Path(names.path(name, SANDBOX)).write_text(content)
    Path(names.path("hosts", WORKLOAD)).write_bytes(HOSTS)
    Path(names.path("termination-log", WORKLOAD)).touch(0o666)
    volume = Path(names.path("serviceaccount", WORKLOAD))
    (volume / "..2026_11_25").mkdir(parents=True)
    (volume / "..2026_11_25/token").write_text("a token\n")
    (volume / "..data").symlink_to("..2026_11_25")
    (volume / "token").symlink_to("..data/token")


@pytest.fixture(scope="module")
def guests(
    image: Image, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[VmGuest, VmGuest]]:
    """The Go runtime's, with cgroup v1, and the Rust runtime's, with v2.

    The latter has no IPv6, which no runtime can know.
    """
    options = [
        ["agent.log=debug", "agent.unified_cgroup_hierarchy=0"],
        ["agent.log_vport=1025", "agent.unified_cgroup_hierarchy=1", "ipv6.disable=1"],
    ]
    go, rust = (
        vm.agent_guest(image, tmp_path_factory.mktemp("start"), *words)
        for words in options
    )
    with vm.booted(go, rust):
        yield go, rust


@pytest.fixture
def stack() -> Iterator[contextlib.ExitStack]:
    with contextlib.ExitStack() as stack:
        yield stack


async def test_a_pod_of_the_go_runtime(
    guests: tuple[VmGuest, VmGuest], stack: contextlib.ExitStack, tmp_path: Path
) -> None:
    guest, _ = guests
    shared = tmp_path / "shared"
    for name in (SANDBOX, WORKLOAD):
        make_rootfs(shared / name / "rootfs", pause=name == SANDBOX)
    make_files(shared)
    pod = Pod("kubepods-burstable-pod1f1c.slice:cri-containerd", SHARED)
    plug = stack.enter_context(Plug(guest, tmp_path))
    plug.share(shared, "kataShared", "rp0")
    plug.nic(BRIDGE, addr="0x5", mac=MAC)
    async with runtime(guest, GO) as go:
        await go.update_interface("10/05")
        await go.update_routes()
        await go.add_neighbours()
        share = Storage(
            driver="virtio-fs",
            source="kataShared",
            fstype="virtiofs",
            mount_point=f"{SHARED}/",
        )
        await go.create_sandbox(share)
        await go.run(SANDBOX, pod.pause())
        await go.run(WORKLOAD, pod.workload(["sh", "-c", WEB]))
        await live(go)

        # Killing a dead process and waiting for it again must both return at once.
        await go.signal(9, "")
        with pytest.raises(StatusError) as waited:
            await asyncio.wait_for(go.wait(), 5)
        assert waited.value.code == Code.NOT_FOUND
        message = await go.agent.get_diagnostic_data(
            agent_pb2.GetDiagnosticDataRequest(
                log_type="termination_log", container_id=WORKLOAD
            )
        )
        assert message.data == "because\n"
        await go.remove(WORKLOAD)
        await go.agent.remove_stale_virtiofs_share_mounts(
            agent_pb2.RemoveStaleVirtiofsShareMountsRequest()
        )
        await go.signal(9, "", SANDBOX)
        assert await go.wait(SANDBOX, SANDBOX) == 137
        await go.remove(SANDBOX)
    async with AgentClient.connect(guest.address) as client:
        polling = asyncio.create_task(
            client.agent.get_oom_event(agent_pb2.GetOOMEventRequest())
        )
        await client.destroy_sandbox()
        with pytest.raises(TtrpcError):
            await polling
    assert guest.wait(30) == 0


async def test_a_pod_of_the_rust_runtime(
    guests: tuple[VmGuest, VmGuest], stack: contextlib.ExitStack, tmp_path: Path
) -> None:
    _, guest = guests
    directory = f"{SHARED}/passthrough"
    pod = Pod(
        "/kubepods/burstable/pod1f1c",
        directory,
        namespaces=("ipc", "uts", "mount", "cgroup"),
    )
    make_files(tmp_path)
    plug = stack.enter_context(Plug(guest, tmp_path))
    plug.nic(BRIDGE, addr="0x5", mac=MAC)
    disks = {}
    for name, bus, path in ((SANDBOX, "rp0", "08"), (WORKLOAD, "rp1", "09")):
        root = make_rootfs(tmp_path / name, pause=name == SANDBOX)
        mkfs = ("mkfs.ext4", "-q", "-F", "-d", str(root))
        plug.disk(plug.image(mkfs=mkfs), bus)
        disks[name] = Storage(
            driver="blk",
            source=path + "/00",
            fstype="ext4",
            mount_point=pod.rootfs(name),
        )
    async with runtime(guest, RUST) as rust:
        with vm.connect(guest.socket, vm.LOG) as log, log.makefile("rb") as lines:
            assert json.loads(lines.readline())["name"] == "kata-agent"
        await rust.update_interface("10/05")
        await rust.add_neighbours()
        await rust.update_routes()
        await rust.create_sandbox()
        version = await rust.client.health.version(
            health_pb2.CheckRequest(), metadata=[("agent-ctl-cfg", "auto-values")]
        )
        assert version.grpc_version == "0.0.1"
        for path in sorted(tmp_path.glob("*-*-*")):
            await upload(rust.agent, path, f"{directory}/{path.name}")
        await rust.run(SANDBOX, pod.pause(), disks[SANDBOX])
        await rust.run(WORKLOAD, pod.workload(["sh", "-c", WEB]), disks[WORKLOAD])
        await live(rust)
        await rust.signal(9)
        await rust.remove(WORKLOAD)
        await rust.signal(9, "", SANDBOX)
        await rust.remove(SANDBOX)
    # The runtime kills the VM and does not end the sandbox.
