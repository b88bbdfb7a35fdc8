# SPDX-License-Identifier: Apache-2.0
"""The mounts of a container: those that it always has, and their flags."""

from __future__ import annotations

from pathlib import Path

import pytest

from kata_agent.errors import Internal
from kata_agent.linux.mount import (
    MS_BIND,
    MS_NODEV,
    MS_NOEXEC,
    MS_NOSUID,
    MS_RDONLY,
    MS_REMOUNT,
    mount,
)
from kata_agent.oci.mounts import add_essential_mounts
from kata_agent.oci.spec import Spec
from tests.helpers.domain import (
    ROOTFS,
    container_request,
    open_sandbox,
    output_of,
)
from tests.helpers.namespace import World, in_namespaces


@pytest.mark.parametrize("destinations", [[], ["/proc/"], ["/dev//"], ["/dev/pts"]])
def test_essential_mounts_are_there_once_and_first(destinations: list[str]) -> None:
    spec: Spec = {"mounts": [{"destination": d} for d in destinations]}
    add_essential_mounts(spec)
    names = [Path(mount["destination"]).as_posix() for mount in spec["mounts"]]
    assert names.count("/proc") == names.count("/dev") == 1
    if "/dev/pts" in names:
        assert names.index("/dev") < names.index("/dev/pts")


@in_namespaces("v1")
async def test_a_bind_mount_has_the_restrictions_of_its_source(world: World) -> None:
    async with open_sandbox() as sandbox:
        Path("/run/volume").mkdir()
        flags = MS_NOSUID | MS_NODEV | MS_NOEXEC
        mount("tmpfs", "/run/volume", "tmpfs", flags, "")
        mount("tmpfs", "/run/volume", "tmpfs", flags | MS_BIND | MS_REMOUNT | MS_RDONLY)
        request = container_request("c1", "grep", " /a ", "/proc/self/mountinfo")
        request.OCI.Process.Args[0:1] = ["busybox", "grep"]
        bind = request.OCI.Mounts.add(destination="/a", source="/run/volume")
        bind.options.extend(["rbind", "rw", "dev"])
        output = await output_of(sandbox, request)
        options = output.split()[5].split(",")
        assert {"ro", "nosuid", "nodev", "noexec"} <= set(options)
        bind.source = "/run/nowhere"
        with pytest.raises(Internal, match="/run/nowhere"):
            await sandbox.create_container(request)


@in_namespaces("v1", "v2")
async def test_a_spec_without_mounts_gets_its_own_dev_and_proc(world: World) -> None:
    async with open_sandbox() as sandbox:
        script = "cat /proc/mounts; echo x > /dev/null && echo written"
        request = container_request("c1", "sh", "-c", script)
        output = await output_of(sandbox, request)
        assert "proc /proc proc" in output
        assert "tmpfs /dev tmpfs" in output
        assert "written" in output
        assert list((ROOTFS / "dev").iterdir()) == []


@in_namespaces("v1")
async def test_links_of_the_image_lead_nowhere(world: World) -> None:
    """Neither /dev nor /proc of the image makes the runtime write elsewhere."""
    async with open_sandbox() as sandbox:
        for name in ("dev", "proc"):
            for target in ("/etc", "../../../../run", "/proc/1/root/run"):
                (ROOTFS / name).rmdir()
                (ROOTFS / name).symlink_to(target)
                with pytest.raises(Internal, match="container 'c1'"):
                    await output_of(sandbox, container_request("c1", "true"))
                assert sandbox.containers == []
                (ROOTFS / name).unlink()
                (ROOTFS / name).mkdir()
        assert sorted(p.name for p in (ROOTFS / "etc").iterdir()) == ["group", "passwd"]
        assert not Path("/run/null").exists()
