# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from kata_host.ctl.arguments import (
    add_command_argument,
    add_process_arguments,
    check_process,
)
from kata_host.ctl.command_parser import CommandParser
from kata_host.ctl.container_options import (
    add_container_options,
    container_name,
    limits_of,
    spec_of,
    volumes_of,
)
from kata_host.ctl.errors import UsageError


def parse(*words: str) -> argparse.Namespace:
    parser = CommandParser(prog="ctl")
    add_process_arguments(parser, defaults="/")
    add_container_options(parser)
    add_command_argument(parser)
    options = parser.parse_args(words)
    options.rootfs = options.image = None
    check_process(options)
    return options


def test_the_container_is_as_the_options_say(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/etc")
    options = parse(
        *("-m", "64m", "--cpus", "0.5", "--pids-limit", "9", "--read-only"),
        *("--cap-drop", "ALL", "--cap-add", "kill", "--ulimit", "nofile=5:6"),
        *("-v", f"{tmp_path}/link:/etc2:ro", "--tmpfs", "/run:size=1m"),
        *("--hostname", "h", "-e", "A=b", "-w", "/tmp"),
        *("--", "/bin/sh", "-c", "true"),
    )
    spec = spec_of(options, "c1", "/root", volumes_of(options), "busybox")
    assert list(spec.Process.Args) == ["/bin/sh", "-c", "true"]
    assert "A=b" in spec.Process.Env
    assert (spec.Process.Cwd, spec.Hostname) == ("/tmp", "c1")
    assert (spec.Root.Path, spec.Root.Readonly) == ("/root", True)
    assert list(spec.Process.Capabilities.Bounding) == ["CAP_KILL"]
    (limit,) = spec.Process.Rlimits
    assert (limit.Type, limit.Soft, limit.Hard) == ("RLIMIT_NOFILE", 5, 6)
    resources = spec.Linux.Resources
    assert (resources.Memory.Limit, resources.Pids.Limit) == (64 << 20, 9)
    assert resources.CPU.Quota == 50_000
    tmpfs, volume = spec.Mounts[-2:]
    assert (tmpfs.destination, tmpfs.options[-1]) == ("/run", "size=1m")
    # The path that is meant, and not a link that the guest would follow.
    assert (volume.source, volume.destination) == ("/etc", "/etc2")


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("--cpus", "0"), "--cpus 0.0: not a number of 0.01 or more"),
        (("--cpus", "nan"), "--cpus nan: not"),
        (("--cpus", "x"), "argument --cpus: cpus 'x': not a number"),
        (("-m", "0"), "--memory 0: not a positive"),
        (("--cap-add", "FLY"), "capability 'FLY': unknown"),
        (("--ulimit", "x=1"), "ulimit 'x=1': not"),
        (("--tmpfs", "run"), "tmpfs 'run': not"),
        (("-v", "x"), "--volume 'x': not"),
        (("--name", "-x"), "argument --name"),
    ],
)
def test_a_wrong_value_is_wrong_usage(words: tuple[str, ...], reason: str) -> None:
    def use() -> None:
        options = parse(*words, "true")
        limits_of(options)
        spec_of(options, "c1", "/root", volumes_of(options), "busybox")

    with pytest.raises(UsageError, match=reason):
        use()


@pytest.mark.parametrize("name", ["", "a", "a/b", ".a", "-a", "a" * 129, "ä1"])
def test_a_name_is_checked(name: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="container "):
        container_name(name)
    assert container_name("Web_1.x-2") == "Web_1.x-2"
