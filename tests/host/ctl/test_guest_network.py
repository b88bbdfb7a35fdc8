# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import argparse

import pytest

from kata_host.ctl.guest_network import add_network_option, network_mounts
from kata_host.ctl.target import Target
from kata_host.guest.guest_entry import GuestEntry
from kata_host.network import Network


def options_of(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_network_option(parser, "network")
    return parser.parse_args(words)


@pytest.mark.parametrize(
    ("words", "entry", "count"),
    [
        ([], None, 0),
        (["--network", "none"], None, 0),
        (["--network", "user"], None, 1),
        ([], "none", 0),
        ([], "user", 1),
    ],
)
def test_a_container_sees_the_name_server_of_its_guest(
    words: list[str], entry: Network | None, count: int
) -> None:
    guest = None if entry is None else GuestEntry("one", "local", network=entry)
    mounts = network_mounts(options_of(*words), Target("unix:///a", entry=guest))
    assert [mount.destination for mount in mounts] == ["/etc/resolv.conf"] * count
