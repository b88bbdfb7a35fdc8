# SPDX-License-Identifier: Apache-2.0
"""Hooks of the spec and of the guest image, run by the real runtime."""

from __future__ import annotations

import json
import re
import signal
from pathlib import Path

import pytest

from kata_agent.container.hooks import find_guest_hooks, merge_hooks
from kata_agent.errors import Internal
from kata_agent.oci.spec import Spec
from kata_protos import agent_pb2
from tests.helpers.domain import (
    container_request,
    exec_request,
    open_sandbox,
    read_all,
    started,
)
from tests.helpers.namespace import World, in_namespaces


def _program(path: Path, script: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


def test_guest_hooks_are_plain_executable_files_in_name_order(tmp_path: Path) -> None:
    _program(tmp_path / "prestart" / "20-b", "true")
    _program(tmp_path / "prestart" / "10-a", "true")
    (tmp_path / "prestart" / "plain").write_text("")
    (tmp_path / "prestart" / "link").symlink_to("10-a")
    (tmp_path / "poststop" / "directory").mkdir(parents=True)
    assert find_guest_hooks(tmp_path) == {
        "prestart": [
            {"path": f"{tmp_path}/prestart/10-a", "args": ["10-a", "prestart"]},
            {"path": f"{tmp_path}/prestart/20-b", "args": ["20-b", "prestart"]},
        ]
    }
    assert find_guest_hooks(tmp_path / "nowhere") == {}


def test_guest_hooks_follow_those_of_the_spec(tmp_path: Path) -> None:
    spec: Spec = {"hooks": {"prestart": [{"path": "/a"}], "poststop": [{"path": "/b"}]}}
    guest: Spec = {"prestart": [{"path": "/c"}], "poststart": [{"path": "/d"}]}
    merge_hooks(spec, guest, tmp_path / "log")
    assert spec["hooks"] == {
        "prestart": [{"path": "/a"}, {"path": "/c"}],
        "poststop": [{"path": "/b"}],
        "poststart": [{"path": "/d"}],
    }
    without: Spec = {}
    merge_hooks(without, {}, tmp_path / "log")
    assert without == {}


@in_namespaces("v1", "v2")
async def test_all_hooks_run_with_the_state_on_stdin(world: World) -> None:
    async with open_sandbox() as sandbox:
        for kind in ("prestart", "poststart", "poststop"):
            script = f"cat >/dev/null; echo guest >> /run/{kind}"
            _program(Path("/run/hooks") / kind / "10-guest", script)
        await sandbox.create(
            agent_pb2.CreateSandboxRequest(guest_hook_path="/run/hooks")
        )
        request = container_request("c1", "true")
        hook = _program(
            Path("/run/spec-hook"), "echo spec >> /run/$1; cat > /run/state"
        )
        for kind in ("Prestart", "Poststart", "Poststop"):
            getattr(request.OCI.Hooks, kind).add(
                Path=str(hook), Args=["hook", kind.lower()], Env=["PATH=/bin:/usr/bin"]
            )
        await sandbox.create_container(request)
        assert Path("/run/prestart").read_text() == "spec\nguest\n"
        assert json.loads(Path("/run/state").read_text())["id"] == "c1"
        await sandbox.start_container("c1")
        assert Path("/run/poststart").read_text() == "spec\nguest\n"
        assert json.loads(Path("/run/state").read_text())["status"] == "running"
        await sandbox.remove_container("c1")
        assert Path("/run/poststop").read_text() == "spec\nguest\n"


@in_namespaces("v1", "v2")
async def test_a_failing_hook_fails_the_call_with_its_output(world: World) -> None:
    async with open_sandbox() as sandbox:
        hook = _program(
            Path("/run/hook"), "cat >/dev/null; echo said; echo complained >&2; exit 3"
        )
        request = container_request("c1", "true")
        request.OCI.Hooks.Prestart.add(Path=str(hook))
        with pytest.raises(Internal, match=r"(?s)c1.*said.*complained"):
            await sandbox.create_container(request)
        assert sandbox.containers == []
        request = container_request("c1", "sleep", "1000")
        request.OCI.Hooks.Prestart.add(Path="/bin/sleep", Args=["x", "99"], Timeout=1)
        with pytest.raises(Internal, match="c1"):
            await sandbox.create_container(request)
        assert sandbox.containers == []


@in_namespaces("v1", "v2")
async def test_a_failing_poststart_hook_ends_the_container(world: World) -> None:
    async with open_sandbox() as sandbox:
        hook = _program(
            Path("/run/hook"), "cat >/dev/null; echo complained >&2; exit 3"
        )
        request = container_request("c1", "sleep", "1000")
        request.OCI.Hooks.Poststart.add(Path=str(hook))
        await sandbox.create_container(request)
        with pytest.raises(Internal, match=r"c1.*/run/hook.*status 3: complained"):
            await sandbox.start_container("c1")
        assert await sandbox.container("c1").processes.wait("") == 137
        await sandbox.remove_container("c1")
        for path, args, text in (
            ("/run/nowhere", [], "not found"),
            ("/bin/sleep", ["any name", "99"], "still running after 1"),
        ):
            request = container_request("c1", "sleep", "1000")
            request.OCI.Hooks.Poststart.add(Path=path, Args=args, Timeout=1)
            await sandbox.create_container(request)
            with pytest.raises(Internal, match=f"hook '{path}'.*{text}"):
                await sandbox.start_container("c1")
            await sandbox.remove_container("c1")


@in_namespaces("v1", "v2")
async def test_the_container_does_not_inherit_the_signals_that_the_runtime_ignores(
    world: World,
) -> None:
    """crun ignores SIGPIPE, because hooks may not read the state."""
    async with open_sandbox() as sandbox:
        await started(sandbox, "c1", "sh", "-c", "cat /proc/self/status; sleep 1000")
        request = exec_request("c1", "e1", "cat", "/proc/self/status")
        await sandbox.exec_process(request)
        init = await sandbox.container("c1").processes.read(
            "", stderr=False, limit=9999
        )
        for status in (init, await read_all(sandbox, "c1", "e1")):
            (mask,) = re.findall(rb"SigIgn:\t([0-9a-f]+)", status)
            assert not int(mask, 16) & 1 << (signal.SIGPIPE - 1)
