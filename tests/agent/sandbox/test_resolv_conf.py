# SPDX-License-Identifier: Apache-2.0
"""The name servers of the sandbox."""

from __future__ import annotations

from pathlib import Path

from kata_agent.sandbox.resolv_conf import ResolvConf
from kata_agent.system_paths import SystemPaths
from tests.helpers.namespace import World, in_namespaces


@in_namespaces("v1")
async def test_lines_are_shown_and_taken_away(world: World) -> None:
    etc = Path("/run/etc")
    etc.mkdir()
    file = etc / "resolv.conf"
    file.write_text("the guest's own\n")
    file.chmod(0o644)
    resolv_conf = ResolvConf(SystemPaths(etc=etc))
    resolv_conf.bind([])
    assert file.read_text() == "the guest's own\n"
    resolv_conf.bind([" nameserver 192.0.2.1 ", "search example.org"])
    assert file.read_text() == "nameserver 192.0.2.1\nsearch example.org\n"
    assert file.stat().st_mode & 0o777 == 0o644
    resolv_conf.unbind()
    resolv_conf.unbind()
    assert file.read_text() == "the guest's own\n"


def test_a_guest_without_the_file_does_without(tmp_path: Path) -> None:
    resolv_conf = ResolvConf(SystemPaths(etc=tmp_path, run=tmp_path))
    resolv_conf.bind(["nameserver 192.0.2.1"])
    resolv_conf.unbind()
    assert not (tmp_path / "resolv.conf").exists()
