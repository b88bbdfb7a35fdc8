# SPDX-License-Identifier: Apache-2.0
"""Which storages may be where; `test_storages` has them in use."""

from __future__ import annotations

from pathlib import Path

import pytest

from kata_agent.errors import InvalidArgument
from kata_agent.storage.bundle_claims import BundleClaims
from kata_agent.storage.mount_point import MountPoint
from kata_agent.system_paths import SystemPaths

PATHS = SystemPaths()


def at(path: str) -> MountPoint:
    return MountPoint(PATHS.sandbox, path)


@pytest.fixture
def claims() -> BundleClaims:
    claims = BundleClaims(PATHS)
    claims.claim("c1", at("c1/rootfs"), [])
    return claims


@pytest.mark.parametrize("path", ["c1", "c1/config.json", "c1/rootfs", "c1/a/b"])
@pytest.mark.parametrize("user", ["c2", None])
def test_a_bundle_is_its_containers_alone(
    claims: BundleClaims, path: str, user: str | None
) -> None:
    with pytest.raises(InvalidArgument, match="is in the bundle of container 'c1'"):
        claims.check(at(path), user)
    claims.check(at(path), "c1")
    claims.release("c1")
    claims.release("c1")
    claims.check(at(path), user)


@pytest.mark.parametrize("path", ["sandbox", "sandbox/resolv.conf", "shared"])
@pytest.mark.parametrize("user", ["c1", None])
def test_the_agents_own_directories_are_not_hidden(
    claims: BundleClaims, path: str, user: str | None
) -> None:
    with pytest.raises(InvalidArgument, match="would hide a directory of the sandbox"):
        claims.check(at(path), user)


def test_the_shared_directory_is_a_storage_of_the_sandbox(claims: BundleClaims) -> None:
    claims.check(at("shared/containers"), None)
    with pytest.raises(InvalidArgument, match="would hide"):
        claims.check(at("shared/containers"), "c1")


@pytest.mark.parametrize("user", ["c1", "c2", None])
def test_other_directories_are_for_all(claims: BundleClaims, user: str | None) -> None:
    for path in ("c10", "sandbox/shm", "shared/containers/c1/rootfs", "volume"):
        claims.check(at(path), user)
    rootless = Path("/run/user/1000/run/kata-containers")
    claims.check(MountPoint(rootless, "c1/x"), user)


def test_no_container_gets_a_bundle_that_another_one_uses(
    claims: BundleClaims,
) -> None:
    for path in ("c2", "c2/rootfs"):
        with pytest.raises(
            InvalidArgument, match="'c2': in its bundle is storage .* of container 'c1'"
        ):
            claims.claim("c2", None, [(at(path), {"c1"})])
        # Its own of an earlier life, and those of the sandbox.
        claims.claim("c2", None, [(at(path), {"c2", None}), (at("c20"), {"c1"})])


@pytest.mark.parametrize("container_id", ["sandbox", "shared"])
def test_no_container_has_the_name_of_another_directory(
    claims: BundleClaims, container_id: str
) -> None:
    with pytest.raises(InvalidArgument, match="is a directory of the sandbox"):
        claims.claim(container_id, None, [])


@pytest.mark.parametrize("path", ["c1", "c1/rootfs"])
def test_a_root_file_system_is_in_no_other_containers_bundle(
    claims: BundleClaims, path: str
) -> None:
    with pytest.raises(InvalidArgument, match="is in the bundle of container 'c1'"):
        claims.claim("c2", at(path), [])
    claims.claim("c3", at("shared/containers/c1/rootfs"), [])
    claims.claim("c4", at("c5/rootfs"), [])
    with pytest.raises(InvalidArgument, match="'c5': in its bundle is the root file"):
        claims.claim("c5", at("c5/rootfs"), [])
    claims.release("c4")
    claims.claim("c5", at("c5/rootfs"), [])
