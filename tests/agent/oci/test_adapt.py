# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
from pathlib import Path

import pytest

from kata_agent.errors import Internal, InvalidArgument
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
from kata_agent.sandbox.sandbox import Sandbox
from kata_agent.system_paths import SystemPaths
from kata_protos import agent_pb2
from tests.helpers.domain import (
    ROOTFS,
    container_request,
    exec_request,
    open_sandbox,
    read_all,
)
from tests.helpers.namespace import World, in_namespaces


async def output_of(sandbox: Sandbox, request: agent_pb2.CreateContainerRequest) -> str:
    await sandbox.create_container(request)
    await sandbox.start_container(request.container_id)
    output = (await read_all(sandbox, request.container_id)).decode()
    output += (await read_all(sandbox, request.container_id, stderr=True)).decode()
    await sandbox.remove_container(request.container_id)
    return output


@pytest.mark.parametrize("destinations", [[], ["/proc/"], ["/dev//"], ["/dev/pts"]])
def test_essential_mounts_are_there_once_and_first(destinations: list[str]) -> None:
    spec: Spec = {"mounts": [{"destination": d} for d in destinations]}
    add_essential_mounts(spec)
    names = [Path(mount["destination"]).as_posix() for mount in spec["mounts"]]
    assert names.count("/proc") == names.count("/dev") == 1
    if "/dev/pts" in names:
        assert names.index("/dev") < names.index("/dev/pts")


@in_namespaces("v1")
async def test_a_bind_mount_forbids_what_its_source_does(world: World) -> None:
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


@in_namespaces("v2")
async def test_annotations_of_the_runtime_never_reach_it(world: World) -> None:
    """The bundle has those of the user, and those that the agent sets itself."""
    kept = {"io.kubernetes.cri.container-name": "x", "run.ocean": "y"}
    steering = {
        "run.oci.handler": "krun",
        "run.oci.hooks.stdout": "/run/stolen",
        "run.oci.seccomp_bpf_data": "BgAAAAAA/38=",
        "module.wasm.image/variant": "compat",
        "org.criu.config": "/run/stolen",
        "org.systemd.property.TasksMax": "1",
    }
    async with open_sandbox() as sandbox:
        request = container_request("c1", "true")
        request.OCI.Annotations.update(kept | steering)
        request.OCI.Hooks.Prestart.add(Path="/bin/true")
        await sandbox.create_container(request)
        bundle = SystemPaths().sandbox / "c1"
        config = json.loads((bundle / "config.json").read_text())
        output = str(bundle / "hooks.log")
        assert config["annotations"] == {
            **kept,
            "run.oci.hooks.stdout": output,
            "run.oci.hooks.stderr": output,
        }


@in_namespaces("v2")
async def test_an_annotation_does_not_replace_the_seccomp_filter(world: World) -> None:
    async with open_sandbox() as sandbox:
        request = container_request("c1", "busybox", "mkdir", "/tmp/x")
        seccomp = request.OCI.Linux.Seccomp
        seccomp.DefaultAction = "SCMP_ACT_ALLOW"
        rule = seccomp.Syscalls.add(Action="SCMP_ACT_ERRNO")
        rule.Names.extend(["mkdir", "mkdirat"])
        # One instruction of BPF: allow (SECCOMP_RET_ALLOW, man 2 seccomp).
        request.OCI.Annotations["run.oci.seccomp_bpf_data"] = "BgAAAAAA/38="
        output = await output_of(sandbox, request)
        assert "Operation not permitted" in output


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


@in_namespaces("v1", "v2")
async def test_a_user_who_is_not_root_opens_its_streams_again(world: World) -> None:
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


@in_namespaces("v1")
async def test_cgroups_paths(world: World) -> None:
    async with open_sandbox() as sandbox:
        for given, path in (
            ("", "c1"),
            ("/a/b", "a/b"),
            ("a.slice:kata:c1", "a.slice/kata/c1"),
        ):
            request = container_request("c1", "sleep", "1000")
            request.OCI.Linux.CgroupsPath = given
            await sandbox.create_container(request)
            procs = Path("/sys/fs/cgroup/memory") / path / "cgroup.procs"
            assert procs.read_text()
            await sandbox.remove_container("c1")
            assert not procs.exists()
        await sandbox.create_container(container_request("c1", "sleep", "1000"))
        request = container_request("c2", "sleep", "1000")
        request.OCI.Linux.CgroupsPath = "c1"
        with pytest.raises(InvalidArgument, match="'/c1' is that of container 'c1'"):
            await sandbox.create_container(request)
