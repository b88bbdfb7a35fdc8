# SPDX-License-Identifier: Apache-2.0
"""A local guest is the same whatever host and program start it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.conftest import CTL
from tests.helpers.source_tree import ROOT

ON_TMPFS = ROOT / "packaging" / "on-tmpfs"
"""Runs a command with the mounts of a Debian that systemd has booted."""
IMPORT = "from kata_host.ctl.rootfs import make_busybox"


def on_tmpfs(script: str, scratch: Path, *arguments: str) -> str:
    """Run a shell script on such a host, where `ctl` is our program; return its output.

    What the script makes in /run and /dev/shm is gone afterwards.
    """
    command = f'ctl() {{ {" ".join(CTL)} "$@"; }}\nset -e\n{script}'
    ran = subprocess.run(
        [ON_TMPFS, "sh", "-c", command, "sh", *arguments],
        env={**os.environ, "TMPDIR": str(scratch)},
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert (ran.stderr, ran.returncode) == ("", 0)
    return ran.stdout


# --- the host's directories are a tmpfs ---


def test_a_guest_stays_although_run_is_a_tmpfs(scratch: Path) -> None:
    script = """
    ctl guest start --name one >/dev/null
    ctl run --guest one -- echo in run
    ctl guest stop one
    export XDG_RUNTIME_DIR=/run/user/0
    ctl guest start --name two >/dev/null
    ctl run --guest two -- echo in the directory of a user
    ctl guest stop two
    find /run -name 'one*' -o -name 'two*'
    """
    assert on_tmpfs(script, scratch) == "in run\nin the directory of a user\n"


@pytest.mark.parametrize("top", ["/run/user/0", "/dev/shm", "/tmp"])
def test_a_root_file_system_may_be_on_a_tmpfs(scratch: Path, top: str) -> None:
    script = """
    if [ $1 = /tmp ]; then mount -t tmpfs tmpfs /tmp; mkdir $TMPDIR; fi
    cd $1
    "$2" -c "$3"
    tar -C root -cf root.tar .
    for root in $1/root $1/root.tar root; do
        ctl run --rootfs $root -- echo in $root
    done
    """
    make = f"from pathlib import Path; {IMPORT}; make_busybox(Path('root'))"
    output = on_tmpfs(script, scratch, top, sys.executable, make)
    assert output == f"in {top}/root\nin {top}/root.tar\nin root\n"


def test_our_packages_may_be_on_a_tmpfs(scratch: Path) -> None:
    """A clone in /dev/shm, which the guest has for itself."""
    script = """
    cp -a "$1"/agent "$1"/host "$1"/protos "$1"/src "$1"/tracing "$1"/ttrpc /dev/shm
    export PYTHONPATH=/dev/shm/src
    "$2" -P -c 'import kata_agent; print(kata_agent.__file__)'
    ctl run -- echo hello
    """
    output = on_tmpfs(script, scratch, str(ROOT), sys.executable)
    assert output == "/dev/shm/src/kata_agent/__init__.py\nhello\n"
