# SPDX-License-Identifier: Apache-2.0
"""Limits and identity, taken on by a child; tests/e2e/test_starter.py has guests."""

from __future__ import annotations

import os
import resource
from pathlib import Path

import pytest

from kata_host.guest import first_process
from kata_host.guest.first_process import become_first_process
from kata_host.guest.local_syscall import personality
from tests.helpers.child import in_child
from tests.helpers.namespace import require_root

pytestmark = pytest.mark.root
INFINITY = resource.RLIM_INFINITY
ADDR_NO_RANDOMIZE = 0x0040000


def test_soft_limits_groups_score_and_personality_are_new() -> None:
    require_root()

    def body() -> None:
        for kind in (resource.RLIMIT_CPU, resource.RLIMIT_STACK, resource.RLIMIT_CORE):
            resource.setrlimit(kind, (1 << 20, resource.getrlimit(kind)[1]))
        os.setgroups([4])
        os.setgid(24)
        personality(ADDR_NO_RANDOMIZE)
        Path("/proc/self/oom_score_adj").write_text("500")
        become_first_process()
        assert resource.getrlimit(resource.RLIMIT_STACK)[0] == 8 << 20
        assert resource.getrlimit(resource.RLIMIT_CORE)[0] == 0
        assert resource.getrlimit(resource.RLIMIT_CPU)[0] == INFINITY
        assert (os.getgroups(), os.getresgid(), os.getresuid()) == (
            [],
            (0,) * 3,
            (0,) * 3,
        )
        assert Path("/proc/self/oom_score_adj").read_text() == "0\n"
        assert Path("/proc/self/personality").read_text() == "00000000\n"

    in_child(body)


def test_a_hard_limit_that_cannot_be_raised_stays(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Above the kernel's own bound, nobody may raise this one."""
    require_root()
    most = int(Path("/proc/sys/fs/nr_open").read_text())
    kind = resource.RLIMIT_NOFILE
    monkeypatch.setattr(first_process, "LIMITS", {kind: (most + 1, INFINITY)})

    def body() -> None:
        _, hard = resource.getrlimit(kind)
        resource.setrlimit(kind, (20, hard))
        become_first_process()
        assert resource.getrlimit(kind) == (hard, hard)

    in_child(body)
