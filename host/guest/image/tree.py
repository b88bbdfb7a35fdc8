# SPDX-License-Identifier: Apache-2.0
"""The root file system as a directory: packages are unpacked and not installed."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

PACKAGES: Final = (
    *("python3", "crun", "busybox-static", "iproute2", "iptables", "kmod"),
    *("libudev1", "e2fsprogs", "ca-certificates"),
)
_SKIPPED: Final = (
    *(
        "gcc-",
        "debconf",
        "dpkg",
        "tar",
        "media-types",
        "tzdata",
        "perl-base",
        "cdebconf",
    ),
    *("libdebconfclient", "openssl_", "ca-certificates", "readline-common", "netbase"),
    *("openssl-provider", "libgcrypt", "libdb", "sensible", "mailcap", "libmd0"),
)
"""File name prefixes of packages that only maintainer scripts need."""
_UNWANTED: Final = (
    *("./usr/share/doc", "./usr/share/man", "./usr/share/locale", "./usr/share/info"),
    *("./usr/share/lintian", "./usr/share/bash-completion", "./usr/share/bug"),
    *("./usr/share/zoneinfo", "*.a", "*/gconv/*", "./etc/init.d", "./usr/lib/systemd"),
)
_STDLIB_UNWANTED: Final = (
    *("test", "idlelib", "ensurepip", "pydoc_data", "turtledemo", "tkinter"),
)
_DIRECTORIES: Final = (
    *("proc", "sys", "dev", "run", "tmp", "root", "mnt", "media", "opt", "srv", "home"),
    *("etc", "var/lib", "var/tmp", "var/log", "var/cache"),
)
_ETC: Final = {
    "passwd": "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534::/:/bin/false\n",
    "group": "root:x:0:\ntty:x:5:\ndisk:x:6:\nnogroup:x:65534:\n",
    "hostname": "localhost\n",
    "hosts": "127.0.0.1 localhost\n::1 localhost\n",
    "nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
    # The agent mounts the sandbox's resolv.conf over this file.
    "resolv.conf": "",
}


def is_needed(package: Path) -> bool:
    """Return whether the package is to be unpacked."""
    return not package.name.startswith(_SKIPPED)


def unpack(
    packages: Sequence[Path], tree: Path, advance: Callable[[int], None]
) -> None:
    """Unpack packages below `tree`, with /bin, /lib and /sbin as links into /usr.

    `advance` is called with the number of packages that are unpacked.
    """
    for name in ("bin", "sbin", "lib", "lib64"):
        (tree / "usr" / name).mkdir(parents=True)
        (tree / name).symlink_to(f"usr/{name}")
    for number, package in enumerate(packages):
        unpack_package(package, tree)
        advance(number + 1)


def unpack_package(package: Path, tree: Path) -> None:
    """Unpack one package; files for /bin go through the link into /usr/bin.

    Raises `OSError` or `CalledProcessError`.
    """
    tree.mkdir(parents=True, exist_ok=True)
    reader = subprocess.Popen(
        ["dpkg-deb", "--fsys-tarfile", package], stdout=subprocess.PIPE
    )
    excludes = [f"--exclude={pattern}" for pattern in _UNWANTED]
    with reader:
        subprocess.run(
            ["tar", "-x", "-C", tree, "--keep-directory-symlink", *excludes],
            stdin=reader.stdout,
            check=True,
        )
    if reader.returncode:
        raise OSError(f"{package.name}: dpkg-deb ended with status {reader.returncode}")


def finish(tree: Path, python: str) -> None:
    """Add the files that maintainer scripts would make, and remove unused ones."""
    for name in _DIRECTORIES:
        (tree / name).mkdir(parents=True, exist_ok=True)
    for name, content in _ETC.items():
        (tree / "etc" / name).write_text(content)
    (tree / "usr/bin/python3").unlink(missing_ok=True)
    (tree / "usr/bin/python3").symlink_to(f"python{python}")
    stdlib = tree / f"usr/lib/python{python}"
    for name in _STDLIB_UNWANTED:
        shutil.rmtree(stdlib / name, ignore_errors=True)
    _link_alternatives(tree)
    _link_busybox(tree)
    subprocess.run(["/sbin/ldconfig", "-X", "-r", tree], check=True)
    # A cache, whose bytes differ from build to build.
    shutil.rmtree(tree / "var/cache/ldconfig", ignore_errors=True)


def _link_alternatives(tree: Path) -> None:
    """Make `iptables` the one of nftables, as an installation of Debian does."""
    for name in ("iptables", "ip6tables"):
        for suffix in ("", "-save", "-restore"):
            program = f"{name}-nft{suffix}"
            if (tree / "usr/sbin" / program).is_symlink():
                (tree / "usr/sbin" / f"{name}{suffix}").symlink_to(program)


def _link_busybox(tree: Path) -> None:
    done = subprocess.run(
        [tree / "usr/bin/busybox", "--list"], check=True, stdout=subprocess.PIPE
    )
    for name in done.stdout.decode().split():
        if not any(os.path.lexists(tree / "usr" / d / name) for d in ("bin", "sbin")):
            (tree / "usr/bin" / name).symlink_to("busybox")


def compile_python(
    tree: Path,
    python: str,
    levels: Mapping[Path, Sequence[int]],
    *,
    compiled_root: Path | None = None,
) -> None:
    """Compile Python files with the interpreter of the tree itself.

    `levels` gives the levels of optimization for each directory: 0 for any program, 2
    for programs that run with -OO, as the agent does. `compiled_root` is the directory
    that the guest sees as `/`, by default the tree.

    The compiled files are never compared with their sources, because the root is
    read-only, and because times would differ from build to build.

    Raises `OSError` if a file cannot be compiled.
    """
    libraries = tree / "usr/lib/x86_64-linux-gnu"
    command: list[str | Path] = [tree / "usr/lib64/ld-linux-x86-64.so.2"]
    command += ["--library-path", libraries, tree / f"usr/bin/python{python}", "-PSB"]
    command += ["-m", "compileall", "-q", "-s", compiled_root or tree]
    # -P: the current directory is the user's. -B and -f: otherwise the modules that
    # compileall itself imports would be compiled in another mode.
    command += ["-f", "--invalidation-mode", "unchecked-hash"]
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONHOME": str(tree / "usr"),
        "PYTHONHASHSEED": "0",
    }
    running = [
        subprocess.Popen(
            [*command, *(f"-o{level}" for level in wanted), directory], env=environment
        )
        for directory, wanted in levels.items()
    ]
    failed = [process for process in running if process.wait()]
    if failed:
        raise OSError(f"compileall: {len(failed)} directories could not be compiled")
