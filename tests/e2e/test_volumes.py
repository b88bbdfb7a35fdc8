# SPDX-License-Identifier: Apache-2.0
"""Volumes as runtimes ask for them, in containers of a local guest."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from kata_host.client import AgentClient, GuestContainer
from kata_host.client.spec import default_process, default_spec, writable_layer
from kata_host.ctl.rootfs import make_busybox
from kata_host.guest.local_guest import LocalGuest
from kata_protos import oci_pb2
from kata_protos.agent_pb2 import Storage

STORAGE = "/run/kata-containers/sandbox/storage"


def volume(driver: str, name: str = "v") -> Storage:
    """Return a volume as Kata's runtimes send it for an emptyDir, or a bind."""
    point = f"{STORAGE}/{name}"
    if driver == "ephemeral":
        options = ["mode=0777", "size=1m"]
        return Storage(
            driver=driver,
            source="tmpfs",
            fstype="tmpfs",
            options=options,
            mount_point=point,
        )
    if driver == "local":
        return Storage(
            driver=driver,
            source="local",
            fstype="local",
            options=["mode=0777"],
            mount_point=point,
        )
    return Storage(
        driver=driver, source="/srv", options=["rbind", "rprivate"], mount_point=point
    )


def mounting(
    name: str, rootfs: str, storage: Storage, propagation: str
) -> tuple[oci_pb2.Spec, list[Storage]]:
    """Return a container that has the volume on /d; it may mount."""
    layer, root = writable_layer(name, rootfs)
    process = default_process(["sleep", "1000"])
    bind = oci_pb2.Mount(
        destination="/d",
        source=storage.mount_point,
        type="bind",
        options=["rbind", propagation, "rw"],
    )
    spec = default_spec(name, process, rootfs=root, mounts=[bind])
    spec.Linux.RootfsPropagation = propagation
    return spec, [storage, layer]


async def execute(container: GuestContainer, exec_id: str, script: str) -> str:
    process = default_process(["sh", "-c", script])
    for kind in ("Bounding", "Effective", "Permitted"):
        getattr(process.Capabilities, kind).append("CAP_SYS_ADMIN")
    result = await (await container.exec(exec_id, process)).communicate()
    return (result.stdout + result.stderr).decode()


@pytest.mark.parametrize("other", ["rshared", "rslave"])
@pytest.mark.parametrize("driver", ["ephemeral", "local", "bind"])
async def test_a_mount_of_one_container_is_seen_by_another(
    client: AgentClient, guest: LocalGuest, driver: str, other: str
) -> None:
    """Mount propagation of Kubernetes (kata-containers#8853, #530)."""
    rootfs = str(guest.directory / "rootfs")
    storage = volume(driver)
    first, first_storages = mounting("c1", rootfs, storage, "rshared")
    second, second_storages = mounting("c2", rootfs, storage, other)
    third, third_storages = mounting("c3", rootfs, storage, "rprivate")
    async with (
        client.started_container("c1", first, first_storages) as one,
        client.started_container("c2", second, second_storages) as two,
        client.started_container("c3", third, third_storages) as three,
    ):
        script = "mkdir -p /d/x && mount -t tmpfs none /d/x && echo text > /d/x/file"
        assert await execute(one, "e1", script) == ""
        assert await execute(two, "e1", "cat /d/x/file") == "text\n"
        # A container that did not ask for it is left alone.
        assert await execute(three, "e1", "ls /d/x") == ""
        # Only the volume's mounts spread, not those that make up a container.
        mounts = await execute(three, "e2", "cat /proc/mounts")
        assert mounts.count(" /d/x ") == 0
        assert mounts.count(" /d ") == 1
        assert await execute(one, "e2", "umount /d/x") == ""
        assert await execute(two, "e2", "ls /d/x") == ""


async def test_a_container_is_usable_whatever_the_umask_of_the_agent(
    scratch: Path,
) -> None:
    """A user's systemd or shell starts the agent with umask 077 (rkt#3567)."""
    # The shell ends its words with the agent's address, which the guest appends.
    command = ["sh", "-c", 'umask 077; exec "$0" -m kata_agent "$@"', sys.executable]
    before = os.umask(0o022)
    try:
        with LocalGuest(scratch / "guest", command=command) as guest:
            rootfs = make_busybox(guest.directory / "rootfs")
            async with AgentClient.connect(guest.address) as client:
                await client.create_sandbox("umask")
                storage, root = writable_layer("c1", str(rootfs))
                script = "stat -c %a /; umask; ls /bin/sh"
                process = default_process(["sh", "-c", script], user=(1000, 1000))
                spec = default_spec("c1", process, rootfs=root)
                async with client.started_container("c1", spec, [storage]) as container:
                    result = await container.init.communicate()
                await client.destroy_sandbox()
    finally:
        os.umask(before)
    assert result.stdout == b"755\n0022\n/bin/sh\n"
