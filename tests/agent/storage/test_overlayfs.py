# SPDX-License-Identifier: Apache-2.0
"""Overlays, mounted for real on directories of a tmpfs."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from kata_agent.errors import InvalidArgument
from kata_agent.storage import overlayfs
from kata_agent.storage.overlayfs import CREATE, WRITABLE
from kata_protos.agent_pb2 import Storage
from tests.helpers.drivers import open_context
from tests.helpers.namespace import World, in_namespaces

LAYERS, SANDBOX = Path("/run/layers"), Path("/run/kata-containers")
ROOTFS = SANDBOX / "rootfs"


def request(*options: str, point: Path = ROOTFS, **fields: list[str]) -> Storage:
    """An overlay of two layers, each with a file of its name."""
    for name in ("a", "b"):
        (LAYERS / name).mkdir(parents=True, exist_ok=True)
        (LAYERS / name / name).write_text(name)
    return Storage(
        fstype="overlay",
        mount_point=str(point),
        options=[f"lowerdir={LAYERS}/a:{LAYERS}/b", *options],
        driver_options=fields.get("driver_options"),
    )


@in_namespaces("v2")
async def test_layers_alone_are_read_only(world: World) -> None:
    async with open_context() as context:
        await overlayfs.add(request(), context)
        assert sorted(os.listdir(ROOTFS)) == ["a", "b"]
        with pytest.raises(OSError, match="Read-only"):
            (ROOTFS / "c").touch()
    assert not ROOTFS.exists()


@in_namespaces("v2")
async def test_a_writable_layer_is_the_container_s_own_and_goes_with_it(
    world: World,
) -> None:
    async with open_context(container_id="c1") as context:
        await overlayfs.add(request(WRITABLE), context)
        (ROOTFS / "c").write_text("c")
        (ROOTFS / "a").unlink()
        upper = next((SANDBOX / "c1").glob("upper-*"))
        assert (upper / "c").read_text() == "c"
        assert (LAYERS / "a/a").exists()
    assert list(SANDBOX.iterdir()) == []


@pytest.mark.parametrize("fstype", ["fuse3.kata-overlay", "overlay", ""])
@in_namespaces("v2")
async def test_a_writable_layer_makes_the_type_overlay(
    world: World, fstype: str
) -> None:
    """Layered snapshotters name a FUSE type for the image's layers."""
    storage = request(WRITABLE)
    storage.fstype = fstype
    async with open_context() as context:
        await overlayfs.add(storage, context)
        (ROOTFS / "c").write_text("c")


@in_namespaces("v2")
async def test_two_overlays_of_a_container_have_a_layer_each(world: World) -> None:
    second = SANDBOX / "second"
    async with open_context() as context:
        await overlayfs.add(request(WRITABLE), context)
        await overlayfs.add(request(WRITABLE, point=second), context)
        (ROOTFS / "c").touch()
        assert not (second / "c").exists()
        assert len(list((SANDBOX / "c1").iterdir())) == 4


@in_namespaces("v2")
async def test_directories_for_layers_are_made_first(world: World) -> None:
    layer = SANDBOX / "layers/upper"
    work = SANDBOX / "layers/work"
    storage = request(
        f"upperdir={layer}",
        f"workdir={work}",
        driver_options=[f"{CREATE}={layer}", f"{CREATE}={work}", "other=1"],
    )
    async with open_context(container_id=None) as context:
        await overlayfs.add(storage, context)
        (ROOTFS / "c").touch()
        assert os.listdir(layer) == ["c"]
    assert list(SANDBOX.iterdir()) == []


@in_namespaces("v2")
async def test_a_directory_elsewhere_is_refused(world: World) -> None:
    storage = request(driver_options=[f"{CREATE}=/etc/layer"])
    async with open_context() as context:
        with pytest.raises(InvalidArgument, match="'/etc/layer': not below"):
            await overlayfs.add(storage, context)


@in_namespaces("v2")
async def test_the_sandbox_has_no_writable_layer(world: World) -> None:
    async with open_context(container_id=None) as context:
        with pytest.raises(InvalidArgument, match="writable layer needs a container"):
            await overlayfs.add(request(WRITABLE), context)


@in_namespaces("v2")
async def test_a_layer_that_cannot_be_mounted_is_named(world: World) -> None:
    async with open_context() as context:
        storage = request("lowerdir=/run/nowhere")
        with pytest.raises(OSError, match="mounting overlay 'overlay'.*/run/nowhere"):
            await overlayfs.add(storage, context)
    assert not ROOTFS.exists()
