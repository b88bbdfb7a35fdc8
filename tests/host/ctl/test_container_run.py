# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from kata_host.ctl.arguments import check_process
from kata_host.ctl.container_run import ContainerRun
from kata_host.ctl.errors import UsageError
from kata_host.ctl.program import make_parser
from kata_host.ctl.target import Target
from kata_host.guest.guest import GuestError
from kata_host.keeper.records import find_in


def options_of(*words: str) -> argparse.Namespace:
    options = make_parser(["run"]).parse_args(["run", *words, "--", "true"])
    check_process(options)
    return options


def test_the_record_lives_as_long_as_the_command(guest_one: str) -> None:
    # Until a keeper has it, a detached one goes with a command that is killed.
    options = options_of("-d", "--guest", "one", "-m", "64m", "-e", "A=b")
    target = Target.of(options)
    with ContainerRun(options, target, "web") as new:
        ((record, _),) = find_in("one")
        assert (record.id, record.memory, record.env) == ("web", 64 << 20, ["A=b"])
        assert record.remove
        assert record.detached
        assert new.scratch is not None
        assert new.scratch.parent.name == "web"
        with pytest.raises(GuestError, match="container 'web': already exists"):
            ContainerRun(options, target, "web").__enter__()
    assert not list(find_in("one"))


def test_files_of_the_host_need_a_local_guest_that_sees_them(
    guest_one: str, tmp_path: Path
) -> None:
    def run(where: str, volume: str) -> None:
        options = options_of("--guest", where, "-v", volume)
        ContainerRun(options, Target.of(options), "web")

    run("one", f"{tmp_path}:/x")
    for where, volume, reason in (
        ("unix:///x", f"{tmp_path}:/x", "only a local guest and a VM of this host"),
        ("one", f"{tmp_path}/none:/x", "none: No such file or directory"),
        ("one", "/run:/x", "below a directory that a guest which stays has for itself"),
    ):
        with pytest.raises(UsageError, match=reason):
            run(where, volume)


def test_a_guest_of_others_keeps_no_container() -> None:
    options = options_of("-d", "--guest", "unix:///x")
    with pytest.raises(UsageError, match="--detach: needs a guest of"):
        ContainerRun(options, Target.of(options), "web")


def test_a_vm_has_a_root_of_its_own(guest_one: str, tmp_path: Path) -> None:
    entry = Target.of(options_of("--guest", "one")).entry
    target = Target("unix:///x", own_rootfs="/", entry=entry)
    for options, words in (
        (options_of(), "the guest's"),
        (options_of("--rootfs", str(tmp_path)), str(tmp_path)),
    ):
        with ContainerRun(options, target, "web"):
            ((record, _),) = find_in("one")
            assert record.rootfs == words
