# SPDX-License-Identifier: Apache-2.0
"""The root file system of a container, from a directory, an archive or busybox."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from kata_host.ctl.command_parser import is_text
from kata_host.ctl.errors import CommandError
from kata_host.explain import explain
from kata_host.scratch import Scratch
from kata_host.tar.root_tree import (
    ERRORS_LIMIT,
    make_root_directory,
    reason_of,
    unpack_command,
)

DIRECTORIES: Final = ("bin", "dev", "etc", "home", "proc", "root", "sys", "tmp", "var")
ETC: Final = {
    "passwd": "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534::/:/bin/false\n",
    "group": "root:x:0:\ntty:x:5:\nnogroup:x:65534:\n",
    "hosts": "127.0.0.1 localhost\n::1 localhost\n",
}


def check_source(source: Path | None) -> None:
    """Raise `CommandError` if `source` is neither a directory nor a file, or if no
    message can hold the name of the directory."""
    if source is not None and not source.is_dir() and not source.is_file():
        raise CommandError(f"rootfs '{source}': no such directory or archive")
    if source is not None and source.is_dir() and not is_text(str(source.resolve())):
        raise CommandError(f"rootfs '{source}': not UTF-8")


@contextlib.contextmanager
def prepared(source: Path | None, scratch: Path | None = None) -> Iterator[Path]:
    """Provide a directory for the container's root during the block.

    `source` is a directory, which is used where it is, an archive that tar can read, or
    None for busybox. An archive and busybox are unpacked into `scratch`, a path that
    does not exist yet and that the caller removes (default: a temporary directory).

    Raises `CommandError`.
    """
    check_source(source)
    if source is not None and source.is_dir():
        yield source.resolve()
        return
    with contextlib.ExitStack() as stack:
        try:
            if scratch is None:
                scratch = stack.enter_context(Scratch("rootfs")) / "rootfs"
            root = make_busybox(scratch) if source is None else _unpack(source, scratch)
        except OSError as error:
            raise CommandError(f"rootfs: {explain(error)}") from error
        yield root


def make_busybox(root: Path) -> Path:
    """Make a small root file system with all of busybox's commands.

    Every user of a container may read it, whatever the umask of this process is.
    """
    busybox = shutil.which("busybox")
    if busybox is None:
        raise CommandError(
            "rootfs: no busybox on this host (package busybox-static): install it, or "
            "use --rootfs or --image"
        )
    root.mkdir(parents=True)
    root.chmod(0o755)
    for name in DIRECTORIES:
        (root / name).mkdir()
        (root / name).chmod(0o1777 if name == "tmp" else 0o755)
    for name, text in ETC.items():
        (root / "etc" / name).write_text(text)
        (root / "etc" / name).chmod(0o644)
    shutil.copyfile(busybox, root / "bin" / "busybox")
    (root / "bin" / "busybox").chmod(0o755)
    for name in _applets(busybox):
        if name != "busybox":
            os.symlink("busybox", root / "bin" / name)
    return root


def _applets(busybox: str) -> list[str]:
    listed = subprocess.run([busybox, "--list"], capture_output=True, text=True)
    if listed.returncode:
        raise CommandError(f"rootfs: {busybox} --list: failed")
    return listed.stdout.split()


def _unpack(archive: Path, root: Path) -> Path:
    make_root_directory(root)
    with subprocess.Popen(
        unpack_command(archive, root),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    ) as tar:
        assert tar.stderr is not None
        try:
            errors = tar.stderr.read(ERRORS_LIMIT)
            while tar.stderr.read(ERRORS_LIMIT):
                pass
        except BaseException:
            tar.kill()
            raise
    if tar.returncode:
        raise CommandError(f"rootfs '{archive}': {reason_of(errors)}")
    return root
