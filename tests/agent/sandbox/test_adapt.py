# SPDX-License-Identifier: Apache-2.0
"""Specs of the host, as they run in this guest."""

from __future__ import annotations

from pathlib import Path

import pytest

from kata_agent.errors import InvalidArgument
from tests.helpers.domain import (
    ROOTFS,
    container_request,
    exec_request,
    open_sandbox,
    output_of,
    read_all,
    started,
)
from tests.helpers.namespace import World, in_namespaces


@in_namespaces("v1", "v2")
async def test_users_and_groups(world: World) -> None:
    async with open_sandbox() as sandbox:
        request = container_request("c1", "id")
        request.OCI.Process.User.UID = 7
        request.OCI.Process.User.GID = 8
        request.OCI.Process.User.AdditionalGids.extend([9, 10])
        output = await output_of(sandbox, request)
        assert output == "uid=7 gid=8 groups=9,10\n"
        request = container_request("c1", "id")
        request.OCI.Process.User.Username = "user"
        output = await output_of(sandbox, request)
        assert output == "uid=1000(user) gid=1000(user) groups=2000(extra)\n"
        request = container_request("c1", "id")
        request.string_user.uid = "1000"
        request.string_user.gid = "extra"
        request.string_user.additionalGids.append("77")
        output = await output_of(sandbox, request)
        assert output == "uid=1000(user) gid=2000(extra) groups=77\n"
        request.string_user.uid = "nobody-here"
        with pytest.raises(InvalidArgument, match="user 'nobody-here'"):
            await sandbox.create_container(request)
        await sandbox.create_container(container_request("c1", "sleep", "1000"))
        await sandbox.start_container("c1")
        execute = exec_request("c1", "e1", "id")
        execute.string_user.uid = "user"
        await sandbox.exec_process(execute)
        assert (await read_all(sandbox, "c1", "e1")).startswith(b"uid=1000(user)")


@in_namespaces("v1")
async def test_an_exec_has_from_its_container_the_parts_that_it_leaves_out(
    world: World,
) -> None:
    """containers/crun#1516, podman#3838"""
    async with open_sandbox() as sandbox:
        request = container_request("c1", "sleep", "1000")
        process = request.OCI.Process
        process.User.UID, process.User.GID = 1000, 1000
        process.User.AdditionalGids.append(777)
        process.Cwd = "/tmp"
        process.Env.append("FOO=bar")
        process.Capabilities.Bounding.append("CAP_KILL")
        await sandbox.create_container(request)
        await sandbox.start_container("c1")
        script = "id; pwd; echo $FOO $HOME; cat /proc/self/status"
        execute = exec_request("c1", "e1", "/bin/sh", "-c", script)
        execute.process.ClearField("Env")
        await sandbox.exec_process(execute)
        lines = (await read_all(sandbox, "c1", "e1")).decode().splitlines()
        assert lines[:3] == [
            "uid=1000(user) gid=1000(user) groups=777",
            "/tmp",
            "bar /home/user",
        ]
        assert "CapBnd:\t0000000000000020" in lines
        # Its own user has a home of its own, in the environment of the container.
        execute.exec_id = "e2"
        execute.process.User.UID = 4242
        execute.process.Args[2] = "id; echo $FOO $HOME"
        await sandbox.exec_process(execute)
        lines = (await read_all(sandbox, "c1", "e2")).decode().splitlines()
        assert lines == ["uid=4242 gid=0(root)", "bar /"]


@in_namespaces("v1")
async def test_the_user_of_an_exec_as_the_go_shim_sends_it(world: World) -> None:
    async with open_sandbox() as sandbox:
        request = container_request("c1", "sleep", "1000")
        request.OCI.Process.User.UID = 1000
        await sandbox.create_container(request)
        await sandbox.start_container("c1")
        for number, (uid, text) in enumerate(
            [
                (0, "uid=0(root) gid=0(root) groups=0(root)"),
                (1000, "uid=1000(user) gid=1000(user) groups=1000(user)"),
            ]
        ):
            execute = exec_request("c1", f"e{number}", "id")
            user = execute.process.User
            user.UID = user.GID = uid
            user.AdditionalGids.append(uid)
            await sandbox.exec_process(execute)
            output = await read_all(sandbox, "c1", f"e{number}")
            assert output.decode().strip() == text


@in_namespaces("v1")
async def test_a_user_of_the_passwd_that_is_mounted(world: World) -> None:
    """podman#6953, nestybox/sysbox#699: CRI-O mounts a file of its own."""
    async with open_sandbox() as sandbox:
        passwd = Path("/run/passwd")
        passwd.write_text("carol:x:1234:1234::/home/carol:/bin/sh\n")
        request = container_request("c1", "sh", "-c", "id -u; echo $HOME; sleep 1000")
        request.OCI.Mounts.add(
            destination="/etc/passwd", source=str(passwd), type="bind", options=["bind"]
        )
        request.string_user.uid = "carol"
        await sandbox.create_container(request)
        await sandbox.start_container("c1")
        container = sandbox.container("c1")
        first = await container.processes.read("", stderr=False, limit=5)
        assert first == b"1234\n"
        execute = exec_request("c1", "e1", "sh", "-c", "id -u; echo $HOME")
        execute.string_user.uid = "carol"
        await sandbox.exec_process(execute)
        assert await read_all(sandbox, "c1", "e1") == b"1234\n/home/carol\n"


@in_namespaces("v1")
async def test_a_container_cannot_stop_the_look_up_of_an_exec_user(
    world: World,
) -> None:
    async with open_sandbox() as sandbox:
        (ROOTFS / "bin/mkfifo").symlink_to("busybox")
        (ROOTFS / "bin/rm").symlink_to("busybox")
        script = "rm /etc/passwd; mkfifo /etc/passwd; echo done; sleep 1000"
        container = await started(sandbox, "c1", "sh", "-c", script)
        assert await container.processes.read("", stderr=False, limit=5) == b"done\n"
        execute = exec_request("c1", "e1", "sh", "-c", "echo $HOME")
        await sandbox.exec_process(execute)
        assert await read_all(sandbox, "c1", "e1") == b"/\n"
        execute = exec_request("c1", "e2", "true")
        execute.string_user.uid = "user"
        with pytest.raises(InvalidArgument, match="'/etc/passwd': not a regular"):
            await sandbox.exec_process(execute)


@in_namespaces("v1", "v2")
async def test_a_user_other_than_root_can_open_its_streams(world: World) -> None:
    async with open_sandbox() as sandbox:
        script = "echo out > /proc/self/fd/1; echo err > /proc/self/fd/2"
        request = container_request("c1", "sh", "-c", script)
        request.OCI.Process.User.UID = 1000
        assert await output_of(sandbox, request) == "out\nerr\n"


@in_namespaces("v1", "v2")
async def test_sysctls_of_the_guest_network_and_of_the_container(world: World) -> None:
    async with open_sandbox() as sandbox:
        request = container_request("c1", "cat", "/proc/sys/kernel/shmmni")
        request.OCI.Linux.Sysctl["net.ipv4.ip_default_ttl"] = "77"
        request.OCI.Linux.Sysctl["kernel.shmmni"] = "123"
        assert await output_of(sandbox, request) == "123\n"
        assert Path("/proc/sys/net/ipv4/ip_default_ttl").read_text() == "77\n"
        for key in ("net.ipv4.nope", "net/../kernel/hostname", "net.ipv4...x"):
            request = container_request("c1", "true")
            request.OCI.Linux.Sysctl[key] = "1"
            with pytest.raises(InvalidArgument, match="sysctl 'net"):
                await sandbox.create_container(request)


@in_namespaces("v1", "v2")
async def test_masked_and_readonly_paths_rlimits_and_oom_score(world: World) -> None:
    async with open_sandbox() as sandbox:
        request = container_request(
            "c1",
            "sh",
            "-c",
            "ulimit -n; cat /proc/self/oom_score_adj; cat /etc/group | head -n1;"
            "echo x > /proc/sys/kernel/hostname; echo x > /x",
        )
        request.OCI.Root.Readonly = True
        request.OCI.Process.OOMScoreAdj = 55
        request.OCI.Process.Rlimits.add(Type="RLIMIT_NOFILE", Soft=77, Hard=88)
        request.OCI.Process.Rlimits.add(Type="RLIMIT_NOVEL", Soft=1, Hard=1)
        request.OCI.Linux.MaskedPaths.append("/etc/group")
        request.OCI.Linux.ReadonlyPaths.append("/proc/sys")
        output = await output_of(sandbox, request)
        assert output.splitlines()[:2] == ["77", "55"]
        assert output.count("Read-only file system") == 2
        assert "root:" not in output


@in_namespaces("v1", "v2")
async def test_seccomp(world: World) -> None:
    async with open_sandbox() as sandbox:
        request = container_request(
            "c1", "sh", "-c", "echo a; cd /tmp; mkdir x; echo $?"
        )
        seccomp = request.OCI.Linux.Seccomp
        seccomp.DefaultAction = "SCMP_ACT_ALLOW"
        rule = seccomp.Syscalls.add(Names=["mkdir", "mkdirat"], Action="SCMP_ACT_ERRNO")
        rule.errnoret = 5
        (ROOTFS / "bin" / "mkdir").symlink_to("busybox")
        assert "Input/output error" in await output_of(sandbox, request)


@in_namespaces("v1")
async def test_devices_are_denied_even_with_mknod(world: World) -> None:
    """Without rules of the host, only the harmless devices can be opened."""
    async with open_sandbox() as sandbox:
        request = container_request(
            "c1",
            "sh",
            "-c",
            "mknod /tmp/n c 1 3 && echo x > /tmp/n && echo null opened;"
            "mknod /tmp/m c 1 1 && cat /tmp/m | head -c1",
        )
        for kind in ("Bounding", "Effective", "Permitted"):
            getattr(request.OCI.Process.Capabilities, kind).append("CAP_MKNOD")
        output = await output_of(sandbox, request)
        assert "null opened" in output
        assert "can't open '/tmp/m': Operation not permitted" in output


@in_namespaces("v2")
async def test_no_nodes_where_devices_cannot_be_filtered(world: World) -> None:
    from kata_agent.linux.prctl import CAP_SYS_RESOURCE, has_capability

    if has_capability(CAP_SYS_RESOURCE):
        pytest.skip("this machine can install device filters")
    async with open_sandbox() as sandbox:
        request = container_request("c1", "sh", "-c", "mknod /tmp/n c 1 1; sleep 1000")
        for kind in ("Bounding", "Effective", "Permitted"):
            getattr(request.OCI.Process.Capabilities, kind).append("CAP_MKNOD")
        await sandbox.create_container(request)
        await sandbox.start_container("c1")
        execute = exec_request("c1", "e1", "mknod", "/tmp/n", "c", "1", "1")
        execute.process.Capabilities.CopyFrom(request.OCI.Process.Capabilities)
        await sandbox.exec_process(execute)
        error = await read_all(sandbox, "c1", "e1", stderr=True)
        assert b"Operation not permitted" in error


@in_namespaces("v1", "v2")
async def test_a_working_directory_outside_the_root_is_refused(world: World) -> None:
    async with open_sandbox() as sandbox:
        request = container_request("c1", "sh", "-c", "cat etc/hostname; ls")
        request.OCI.Process.Cwd = "/proc/self/fd/8"
        with pytest.raises(Exception, match="container 'c1'"):
            await output_of(sandbox, request)


@in_namespaces("v1", "v2")
async def test_no_descriptor_of_the_agent_reaches_a_container(world: World) -> None:
    async with open_sandbox() as sandbox:
        leaked = Path("/run/secret").open("w+")
        request = container_request("c1", "ls", "-l", "/proc/self/fd")
        output = await output_of(sandbox, request)
        assert "secret" not in output
        assert "memfd" not in output
        leaked.close()
