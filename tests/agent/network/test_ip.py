# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from kata_agent.errors import Internal
from kata_agent.network.ip import Ip
from kata_agent.reaper import Reaper
from kata_agent.reserve import Reserve
from kata_agent.system_paths import SystemPaths
from tests.helpers.namespace import World, in_namespaces
from tests.helpers.network import show


@contextlib.contextmanager
def opened(paths: SystemPaths | None = None) -> Iterator[Ip]:
    with Reaper() as reaper:
        yield Ip(reaper, paths or SystemPaths(), Reserve())


def names() -> set[str]:
    return {link["ifname"] for link in show("link show")}


@in_namespaces("v2")
async def test_links_are_shown_as_objects(world: World) -> None:
    with opened() as ip:
        (link,) = await ip.show("link", "show")
    assert link["ifname"] == "lo"


@in_namespaces("v2")
async def test_no_entry_is_an_empty_list(world: World) -> None:
    with opened() as ip:
        assert await ip.show("route", "show", "table", "main") == []


@in_namespaces("v2")
async def test_a_failure_to_show_names_the_arguments(world: World) -> None:
    with opened() as ip, pytest.raises(Internal, match="ip link show dev nonesuch: "):
        await ip.show("link", "show", "dev", "nonesuch")


@in_namespaces("v2")
async def test_a_batch_stops_at_the_command_that_fails_and_names_it(
    world: World,
) -> None:
    with opened() as ip:
        await ip.change([])
        with pytest.raises(Internal, match="ip link set dev nonesuch up: "):
            await ip.change(
                [
                    "link add d1 type veth peer name p1",
                    "link set dev nonesuch up",
                    "link add d2 type veth peer name p2",
                ]
            )
        assert names() == {"lo", "d1", "p1"}


@in_namespaces("v2")
async def test_restoring_goes_on_after_a_failure_and_logs_it(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    with opened() as ip, caplog.at_level(logging.ERROR):
        await ip.restore(
            ["link set dev nonesuch up", "link add d2 type veth peer name p2"]
        )
        assert names() == {"lo", "d2", "p2"}
    (record,) = caplog.records
    assert record.getMessage() == "network not restored completely"
    assert "nonesuch" in record.__dict__["error"]


@pytest.mark.parametrize(("value", "is_off"), [("1\n", True), ("0\n", False)])
async def test_ipv6_may_be_off_for_a_link(
    tmp_path: Path, value: str, is_off: bool
) -> None:
    conf = tmp_path / "sys/net/ipv6/conf/eth0"
    conf.mkdir(parents=True)
    (conf / "disable_ipv6").write_text(value)
    with opened(SystemPaths(proc=tmp_path)) as ip:
        assert ip.lacks_ipv6("eth0") is is_off
        assert not ip.lacks_ipv6("not-there")


async def test_ipv6_may_be_off_in_the_whole_guest(tmp_path: Path) -> None:
    with opened(SystemPaths(proc=tmp_path)) as ip:
        assert ip.lacks_ipv6("eth0")
