# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from kata_host.client.spec import PATH, default_process, default_spec, writable_layer


def test_a_process_has_a_path_and_the_given_variables() -> None:
    process = default_process(["env"], env={"A": "b=c", "PATH": "/x"})
    assert list(process.Env) == ["PATH=/x", "A=b=c"]
    assert list(default_process(["env"]).Env) == [f"PATH={PATH}"]


def test_a_process_on_a_terminal_has_the_variable_term() -> None:
    process = default_process(["sh"], terminal=True)
    assert process.Terminal
    assert "TERM=xterm" in process.Env


def test_a_container_has_namespaces_and_few_rights() -> None:
    spec = default_spec("c1", default_process(["sh"]), rootfs="/r")
    assert {ns.Type for ns in spec.Linux.Namespaces} == {"mount", "pid", "ipc", "uts"}
    (rule,) = spec.Linux.Resources.Devices
    assert (rule.Allow, rule.Access) == (False, "rwm")
    assert "CAP_SYS_ADMIN" not in spec.Process.Capabilities.Bounding
    assert not spec.Process.Capabilities.Inheritable
    read_only = [m.destination for m in spec.Mounts if "ro" in m.options]
    assert read_only == ["/sys", "/sys/fs/cgroup"]


def test_a_mount_point_is_mounted_before_those_below_it() -> None:
    spec = default_spec("c1", default_process(["sh"]), rootfs="/r")
    seen: set[str] = set()
    for mount in spec.Mounts:
        assert not any(other.startswith(f"{mount.destination}/") for other in seen)
        seen.add(mount.destination)


def test_the_hostname_is_the_id_unless_given() -> None:
    process = default_process(["sh"])
    assert default_spec("c1", process, rootfs="/r").Hostname == "c1"
    assert default_spec("c1", process, rootfs="/r", hostname="h").Hostname == "h"


def test_a_writable_layer_is_the_containers_own() -> None:
    one, root = writable_layer("c1", "/lower")
    other, _ = writable_layer("c2", "/lower")
    assert one.mount_point == root != other.mount_point
    assert "lowerdir=/lower" in one.options


@pytest.mark.parametrize("path", ["/a:b", "/a,b", "/a\\b"])
def test_a_path_that_overlayfs_would_split_is_refused(path: str) -> None:
    with pytest.raises(ValueError, match="without"):
        writable_layer("c1", path)
