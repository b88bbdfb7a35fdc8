# SPDX-License-Identifier: Apache-2.0
"""Storages of every driver in a real guest, and their sharing by containers."""

from __future__ import annotations

from pathlib import Path

import pytest

from kata_host.client import AgentClient
from kata_protos import agent_pb2
from kata_protos.agent_pb2 import FSGroup, Storage
from kata_protos.types_pb2 import OnRootMismatch
from tests.helpers.guest_container import (
    STORAGE,
    VOLUME,
    bind,
    inside,
    output,
    request,
    started,
)
from tests.helpers.plug import MIB, Plug
from tests.helpers.shell import Shell
from ttrpc.errors import StatusError

pytestmark = [pytest.mark.vm, pytest.mark.slow]

EXT4 = ("mkfs.ext4", "-q", "-F")
SHARED = "/run/kata-containers/shared/containers"
SHARE = f"{SHARED}/host"
"""Where a container may have a share: only the sandbox may have one in `SHARED`."""
WATCH = """
import ctypes, os
libc = ctypes.CDLL(None)
fd = libc.inotify_init()
# IN_MOVED_TO
libc.inotify_add_watch(fd, b"/volume", 0x80)
print("watching", flush=True)
while name := os.read(fd, 16 + 256)[16:].rstrip(bytes(1)).decode():
    print(name, flush=True)
"""
HUGE_PAGES = "/sys/kernel/mm/hugepages/hugepages-2048kB"


def disk(name: str, *options: str, **fields: object) -> Storage:
    return Storage(
        driver="blk",
        source="08/00",
        fstype="ext4",
        options=options,
        mount_point=f"{STORAGE}/{name}",
        **fields,  # type: ignore[arg-type]  # fields of the message
    )


def tmpfs(name: str, *options: str) -> Storage:
    return Storage(
        driver="ephemeral",
        source="tmpfs",
        fstype="tmpfs",
        options=options,
        mount_point=f"{STORAGE}/{name}",
    )


def is_mounted(shell: Shell, storage: Storage) -> bool:
    return storage.mount_point in shell.run("cat /proc/mounts")


# --- shared by containers ---


async def test_a_disk_of_two_containers_is_unmounted_with_the_last(
    client: AgentClient, plug: Plug, shell: Shell
) -> None:
    plug.disk(plug.image(mkfs=EXT4), "rp0")
    storage = disk("both")
    async with started(client, request("sleep 1000", storages=[storage])) as first:
        async with started(client, request("sleep 1000", storages=[storage])) as second:
            await inside(client, first, "echo text > /volume/file")
            assert await inside(client, second, "cat /volume/file") == "text\n"
        assert is_mounted(shell, storage)
        assert await inside(client, first, "cat /volume/file") == "text\n"
    assert not is_mounted(shell, storage)
    assert storage.mount_point not in shell.run("find /run/kata-containers")


async def test_a_shared_disk_stays_for_the_next_container(
    client: AgentClient, plug: Plug, shell: Shell
) -> None:
    plug.disk(plug.image(mkfs=EXT4), "rp0")
    storage = disk("stays", shared=True)
    try:
        await output(client, request("echo text > /volume/file", storages=[storage]))
        assert is_mounted(shell, storage)
        message = request("cat /volume/file", storages=[storage])
        assert await output(client, message) == "text\n"
    finally:
        # The end of the sandbox would remove it; the shared sandbox goes on.
        shell.run(f"umount {storage.mount_point}")


@pytest.mark.parametrize("driver", ["ephemeral", "local"])
async def test_an_empty_dir_survives_the_containers_that_use_it(
    client: AgentClient, driver: str
) -> None:
    storage = tmpfs(f"empty-{driver}", "mode=1777")
    storage.driver = driver
    await output(client, request("echo text > /volume/file", storages=[storage]))
    script = "cat /volume/file; stat -c %a /volume"
    message = request(script, storages=[storage])
    assert await output(client, message) == "text\n1777\n"


# --- memory ---


async def test_a_tmpfs_grows_after_the_guest_did(client: AgentClient) -> None:
    storage = tmpfs("grows", "size=8m", "fsgid=4000")
    message = request("sleep 1000", storages=[storage])
    async with started(client, message) as container:
        size = "df -m /volume | tail -1 | awk '{print $2}'; stat -c '%g %a' /volume"
        assert await inside(client, container, size) == "8\n4000 3777\n"
        remount = tmpfs("grows", "remount", "size=64m", "fsgid=4000")
        await client.agent.update_ephemeral_mounts(
            agent_pb2.UpdateEphemeralMountsRequest(storages=[remount])
        )
        assert await inside(client, container, size) == "64\n4000 3777\n"


async def test_huge_pages_are_mounted_with_their_size(
    client: AgentClient, shell: Shell
) -> None:
    storage = Storage(
        driver="ephemeral",
        source="nodev",
        fstype="hugetlbfs",
        options=["pagesize=2097152", f"size={8 * MIB}"],
        mount_point=f"{STORAGE}/huge",
    )
    before = shell.run(f"cat {HUGE_PAGES}/nr_hugepages")
    message = request("grep /volume /proc/mounts", storages=[storage])
    mount = await output(client, message)
    assert mount.startswith("nodev /volume hugetlbfs")
    assert "pagesize=2M,size=8388608" in mount
    assert (before, shell.run(f"cat {HUGE_PAGES}/nr_hugepages")) == ("0", "4")
    # All of Kata's runtimes join the two options.
    second = Storage()
    second.CopyFrom(storage)
    second.mount_point = f"{STORAGE}/second"
    second.options[:] = [f"pagesize=2097152,size={4 * MIB}"]
    mount = await output(
        client, request("grep /volume /proc/mounts", storages=[second])
    )
    assert "pagesize=2M,size=4194304" in mount
    assert shell.run(f"cat {HUGE_PAGES}/nr_hugepages") == "6"
    greedy = Storage()
    greedy.CopyFrom(storage)
    greedy.mount_point = f"{STORAGE}/greedy"
    greedy.options[1] = f"size={8 << 30}"
    with pytest.raises(
        StatusError, match="huge pages: got [0-9]+ of 4102 pages of 2097152"
    ):
        await output(client, request("true", storages=[greedy]))
    assert shell.run(f"cat {HUGE_PAGES}/nr_hugepages") == "6"
    greedy.options[0] = "pagesize=1073741824"
    with pytest.raises(StatusError, match="huge pages: no pages of 1073741824 bytes"):
        await output(client, request("true", storages=[greedy]))


# --- disks ---


async def test_mount_options_are_applied(client: AgentClient, plug: Plug) -> None:
    plug.disk(plug.image(mkfs=EXT4), "rp0")
    options = ("ro", "nosuid", "nodev", "noexec", "noatime", "errors=continue")
    script = "grep /volume /proc/mounts; touch /volume/file 2>&1"
    # CSI plugins give disks the option `bind` (kata-containers#11296).
    storage = disk("options", "bind", *options)
    message = request(f"{script}; true", storages=[storage])
    mount, refusal, *_ = (await output(client, message)).splitlines()
    assert set(options) - {"errors=continue"} <= set(mount.split()[3].split(","))
    assert refusal.endswith("Read-only file system")


async def test_a_new_file_system_on_a_blank_disk(
    client: AgentClient, plug: Plug
) -> None:
    plug.disk(plug.image(), "rp0")
    storage = disk("blank")
    with pytest.raises(StatusError, match="Invalid argument, mounting ext4 '/dev/vdb'"):
        await output(client, request("true", storages=[storage]))
    storage.driver_options.append("create_filesystem=true")
    script = "echo text > /volume/file; cat /volume/file"
    assert await output(client, request(script, storages=[storage])) == "text\n"
    storage.driver_options.append("encryption_key=ephemeral")
    with pytest.raises(StatusError, match="encrypted disks are not supported"):
        await output(client, request("true", storages=[storage]))


async def test_a_volume_for_a_group(client: AgentClient, plug: Plug) -> None:
    content = plug.directory / "content"
    (content / "inner").mkdir(parents=True)
    (content / "inner/file").write_text("text")
    (content / "inner/file").chmod(0o600)
    (content / "inner").chmod(0o700)
    (content / "link").symlink_to("/etc/passwd")
    plug.disk(plug.image(mkfs=(*EXT4, "-d", str(content))), "rp0")
    group = FSGroup(group_id=4000)
    script = "cd /volume; stat -c '%g %a %n' . inner inner/file; stat -c %g /etc/passwd"
    message = request(script, storages=[disk("group", fs_group=group)])
    assert (await output(client, message)).splitlines() == [
        *("4000 2775 .", "4000 2770 inner", "4000 660 inner/file", "0")
    ]
    # The root has the right owner by now, so the agent does not look below.
    group.group_change_policy = OnRootMismatch
    script = "cd /volume; chgrp 7 inner/file; true"
    await output(client, request(script, storages=[disk("group", fs_group=group)]))
    message = request(
        "stat -c %g /volume/inner/file", storages=[disk("group", fs_group=group)]
    )
    assert await output(client, message) == "7\n"


async def test_layers_are_one_root(
    client: AgentClient, plug: Plug, shell: Shell
) -> None:
    """An image's layers on disks of their own, with a writable one on top."""
    images = []
    for name in ("lower", "upper"):
        content = plug.directory / name
        content.mkdir()
        (content / "both").write_text(name)
        (content / name).write_text(name)
        images.append(plug.image(mkfs=(*EXT4, "-d", str(content))))
    plug.disk(images[0], "rp0")
    plug.disk(images[1], "rp1")
    lower, upper = disk("lower", "ro"), disk("upper", "ro")
    upper.source = "09/00"
    extra = f"{STORAGE}/extra"
    overlay = Storage(
        driver="overlayfs",
        source="overlay",
        fstype="overlay",
        options=[
            f"lowerdir={upper.mount_point}:{lower.mount_point}:{extra}",
            "io.katacontainers.fs-opt.overlay-rw",
        ],
        driver_options=[f"io.katacontainers.volume.overlayfs.create_directory={extra}"],
        mount_point=f"{STORAGE}/merged",
    )
    script = "cd /volume; cat both lower upper; echo new > both; cat both"
    message = request(
        script, storages=[lower, upper, overlay], mounts=[bind(overlay.mount_point)]
    )
    # The container's root is an overlay as well.
    assert await output(client, message) == "upperlowerupper" + "new\n"
    left = shell.run("find /run/kata-containers")
    assert "merged" not in left
    assert message.container_id not in left


# --- shared directories ---


async def test_a_config_map_that_changes(
    client: AgentClient, plug: Plug, tmp_path: Path
) -> None:
    """Kubernetes makes a new directory and moves a link to it."""
    shared = tmp_path / "shared"
    volume = shared / "config"
    volume.mkdir(parents=True)

    def publish(version: str, **files: str) -> None:
        (volume / version).mkdir()
        for name, text in files.items():
            (volume / version / name).write_text(text)
            if not (volume / name).is_symlink():
                (volume / name).symlink_to(f"..data/{name}")
        (volume / "..new").symlink_to(version)
        (volume / "..new").rename(volume / "..data")

    publish("..one", setting="old", gone="gone")
    plug.share(shared, "kataShared", "rp0")
    share = Storage(
        driver="virtio-fs",
        source="kataShared",
        fstype="virtiofs",
        mount_point=f"{SHARE}/",
    )
    watched = Storage(
        driver="watchable-bind",
        source=f"{SHARE}/config",
        fstype="bind",
        mount_point=f"{SHARE}/watchable/config",
    )
    script = (
        "cat /volume/setting /volume/gone; echo; "
        # Old files are removed last, and this one last of all.
        "while [ -e /volume/..one ]; do usleep 50000; done; "
        "cat /volume/setting; echo; ls -a /volume"
    )
    message = request(
        script, storages=[share, watched], mounts=[bind(watched.mount_point)]
    )
    async with started(client, message) as container:
        reader = container.init.read_stdout()
        seen = b""
        while b"\n" not in seen:
            seen += await anext(reader)
        assert seen == b"oldgone\n"
        (volume / "gone").unlink()
        publish("..two", setting="new")
        for name in ("setting", "gone"):
            (volume / "..one" / name).unlink()
        (volume / "..one").rmdir()
        listing = b"".join([part async for part in reader]).decode().split()
        assert listing == ["new", ".", "..", "..data", "..two", "setting"]


async def test_a_container_watches_by_inotify(
    client: AgentClient, plug: Plug, tmp_path: Path
) -> None:
    shared = tmp_path / "shared"
    (shared / "config").mkdir(parents=True)
    (shared / "config/setting").write_text("old")
    plug.share(shared, "kataShared", "rp0")
    share = Storage(
        driver="virtio-fs", source="kataShared", fstype="virtiofs", mount_point=SHARE
    )
    watched = Storage(
        driver="watchable-bind",
        source=f"{SHARE}/config",
        mount_point=f"{SHARE}/watchable/config",
    )
    message = request(
        f"python3 -IS -c '{WATCH}'",
        storages=[share, watched],
        mounts=[bind(watched.mount_point, VOLUME)],
    )
    async with started(client, message) as container:
        reader = container.init.read_stdout()
        assert await anext(reader) == b"watching\n"
        (shared / "config/setting").write_text("new")
        assert await anext(reader) == b"setting\n"
        assert await inside(client, container, "cat /volume/setting") == "new"


# --- refused storages ---


@pytest.mark.parametrize(
    ("storage", "error"),
    [
        (Storage(driver="nydus", mount_point=f"{STORAGE}/a"), "unknown driver 'nydus'"),
        (Storage(driver="blk", source="08/00", fstype="ext4"), "no mount point"),
        (
            Storage(driver="blk", fstype="ext4", mount_point=f"{STORAGE}/a"),
            "no source",
        ),
        (
            Storage(driver="blk", source="08/00", mount_point=f"{STORAGE}/a"),
            "no file system type",
        ),
        (
            Storage(driver="local", mount_point="/etc"),
            "path '/etc': not below /run/kata-containers",
        ),
        (
            Storage(driver="local", mount_point=f"{STORAGE}/../../../etc"),
            "not below /run/kata-containers",
        ),
        (
            Storage(driver="bind", source="/nowhere", mount_point=f"{STORAGE}/a"),
            "source '/nowhere': no such file",
        ),
        (
            Storage(driver="local", options=["mode=9"], mount_point=f"{STORAGE}/a"),
            "option 'mode=9': not an octal mode",
        ),
        (
            Storage(
                driver="blk",
                source="/dev/null",
                fstype="ext4",
                mount_point=f"{STORAGE}/a",
            ),
            "device /dev/null: not a block device",
        ),
    ],
)
async def test_a_bad_storage_is_refused(
    client: AgentClient, storage: Storage, error: str
) -> None:
    with pytest.raises(StatusError, match=error):
        await output(client, request("true", storages=[storage], mounts=[bind("/a")]))
