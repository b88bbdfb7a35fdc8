# SPDX-License-Identifier: Apache-2.0
"""Kernel parameters of the guest's network."""

from __future__ import annotations

from pathlib import Path

import pytest

from kata_agent.errors import InvalidArgument
from kata_agent.oci.spec import Spec
from kata_agent.oci.sysctl import split_network, to_file, write_network


@pytest.mark.parametrize(
    ("key", "file"),
    [
        ("net.ipv4.ip_forward", "net/ipv4/ip_forward"),
        ("net/ipv4/conf/eth0.1/forwarding", "net/ipv4/conf/eth0.1/forwarding"),
        ("net.ipv4.conf.eth0/1.forwarding", "net/ipv4/conf/eth0.1/forwarding"),
    ],
)
def test_files_of_keys(key: str, file: str) -> None:
    assert to_file(key) == file


def test_only_the_network_is_taken_out() -> None:
    spec: Spec = {"linux": {"sysctl": {"net.a": "1", "network.b": "2", "net/c": "3"}}}
    assert split_network(spec) == {"net.a": "1", "net/c": "3"}
    assert spec == {"linux": {"sysctl": {"network.b": "2"}}}
    assert split_network({"linux": {}}) == {}


def test_a_key_does_not_lead_out_of_the_network(tmp_path: Path) -> None:
    (tmp_path / "sys/net").mkdir(parents=True)
    (tmp_path / "sys/kernel").mkdir()
    (tmp_path / "sys/kernel/x").write_text("kept")
    (tmp_path / "sys/net/y").write_text("")
    (tmp_path / "sys/net/link").symlink_to("../kernel/x")
    write_network({"net.y": "7"}, tmp_path)
    assert (tmp_path / "sys/net/y").read_text() == "7"
    for key in ("net/../kernel/x", "net.link", "net.none", "net//etc/passwd"):
        with pytest.raises(InvalidArgument, match="^sysctl 'net"):
            write_network({key: "8"}, tmp_path)
    assert (tmp_path / "sys/kernel/x").read_text() == "kept"
