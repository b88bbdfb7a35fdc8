# SPDX-License-Identifier: Apache-2.0
"""`python -m kata_host.guest.tarball FILE`: the agent for Kata's guest images.

    /usr/bin/kata-agent                      packaging/launcher.c, an ELF file
    /usr/lib/kata-agent/bin                  python3, crun, ip
    /usr/lib/kata-agent/lib                  libraries, ld.so, Python's own modules
    /usr/lib/kata-agent/source, packages     our packages, and their dependencies
    /usr/lib/systemd/system                  kata-agent.service, kata-containers.target

Nothing in the tarball needs a package or the C library of the image that it is unpacked
over: the programs are those of the VM image, changed to load the libraries of the
tarball. osbuilder takes the file as AGENT_TARBALL; with AGENT_INIT=yes, the launcher
becomes /sbin/init.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from kata_host.guest.guest import GuestError
from kata_host.guest.image import build
from kata_host.guest.image.agent import HOME, PROGRAM
from kata_host.guest.image.progress import Progress
from kata_host.guest.image.python import VERSION
from kata_host.guest.image.store import Image
from kata_host.guest.tarball_contents import keep_one_form, leave_out
from kata_host.interrupted import Interrupted
from kata_host.interruption import INTERRUPTION
from kata_host.scratch import Scratch

PACKAGING: Final = Path(__file__).parent / "packaging"
"""A link in a clone, a folder of the wheel."""
ZSTD_LEVEL: Final = 12
"""A second, and a tenth less than by zstd's own level."""
UNITS: Final = ("kata-agent.service", "kata-containers.target")
PROGRAMS: Final = {"python3": f"python{VERSION}", "crun": "crun", "ip": "ip"}
LOADER: Final = "ld-linux-x86-64.so.2"
LOADED_LATER: Final = ("libudev.so.1",)
"""Libraries that Python opens by name at run time."""
_LIBRARIES: Final = "usr/lib/x86_64-linux-gnu"
_SAME_TAR: Final = ("--sort=name", "--owner=0", "--group=0", "--numeric-owner")


def make(image: Image, target: Path) -> None:
    """Write the tarball, compressed as the suffix says (`.tar.zst`).

    The file is whole, or as it was before.
    """
    with Scratch("tarball") as directory:
        root = directory / "root"
        lay_out(image, root)
        time = f"--mtime=@{image.manifest['source_date_epoch']}"
        packed = directory / target.name
        command = ["tar", "-c", "--auto-compress", f"--file={packed}", *_SAME_TAR, time]
        subprocess.run(
            [*command, f"--directory={root}", "usr"],
            check=True,
            env={**os.environ, "ZSTD_CLEVEL": str(ZSTD_LEVEL)},
        )
        with INTERRUPTION.uninterrupted():
            # The same name each time, so that the next run replaces what is left of one
            # that was killed.
            new = target.with_name(f".{target.name}.new")
            shutil.copyfile(packed, new)
            new.replace(target)


def lay_out(image: Image, root: Path) -> None:
    """Make the tree of the tarball below `root`."""
    home = root / HOME
    for name in ("bin", "lib"):
        (home / name).mkdir(parents=True)
    _copy_python(image.tree, home)
    for name, original in PROGRAMS.items():
        _copy_program(image.tree / "usr/bin" / original, home / "bin" / name)
    _copy_libraries(image.tree, home)
    (home / "start.py").write_text(PROGRAM.partition("\n")[2])
    build_launcher(root / "usr/bin/kata-agent")
    units = root / "usr/lib/systemd/system"
    units.mkdir(parents=True)
    for unit in UNITS:
        shutil.copyfile(PACKAGING / unit, units / unit)


def build_launcher(target: Path) -> None:
    """Compile the launcher, `/usr/bin/kata-agent`, to `target`."""
    target.parent.mkdir(parents=True, exist_ok=True)
    flags = [
        "-static",
        "-nostdlib",
        "-Os",
        "-fno-stack-protector",
        "-Wl,--build-id=none",
    ]
    source = PACKAGING / "launcher.c"
    subprocess.run(["cc", *flags, "-s", "-o", target, source], check=True)


def _copy_python(tree: Path, home: Path) -> None:
    stdlib = f"python{VERSION}"
    shutil.copytree(tree / "usr/lib" / stdlib, home / "lib" / stdlib, symlinks=True)
    for directory in ("source", "packages"):
        shutil.copytree(tree / HOME / directory, home / directory)
    leave_out(home)
    keep_one_form(home)


def _copy_program(source: Path, target: Path) -> None:
    """Copy a program, and change it to load the libraries of the tarball only."""
    shutil.copyfile(source.resolve(), target)
    target.chmod(0o755)
    # RPATH, because RUNPATH does not apply to libraries of libraries (man 8 ld.so).
    command = ["patchelf", "--force-rpath", "--set-rpath", f"/{HOME}/lib"]
    command += ["--set-interpreter", f"/{HOME}/lib/{LOADER}"]
    subprocess.run([*command, target], check=True)


def _copy_libraries(tree: Path, home: Path) -> None:
    modules = sorted((home / f"lib/python{VERSION}/lib-dynload").glob("*.so"))
    modules += sorted(home.glob("packages/**/*.so"))
    programs = [tree / "usr/bin" / name for name in PROGRAMS.values()]
    later = [tree / _LIBRARIES / name for name in LOADED_LATER]
    names = {LOADER, *LOADED_LATER}
    names.update(_needed(tree, [*programs, *modules, *later]))
    for name in sorted(names):
        target = home / "lib" / name
        shutil.copyfile((tree / _LIBRARIES / name).resolve(), target)
        target.chmod(0o755)


def _needed(tree: Path, files: Iterable[Path]) -> Iterator[str]:
    """Yield the names of all libraries that files need, directly or not."""
    libraries = tree / _LIBRARIES
    loader = [str(libraries / LOADER), "--library-path", str(libraries), "--list"]
    for file in files:
        done = subprocess.run(
            [*loader, str(file)], check=True, stdout=subprocess.PIPE, text=True
        )
        yield from re.findall(r"^\t([^/\s]+) => /", done.stdout, re.MULTILINE)


def main() -> int:
    """Build the tarball; print its size and digest."""
    parser = argparse.ArgumentParser(prog="python -m kata_host.guest.tarball")
    parser.add_argument(
        "file", type=Path, help="the file to write, such as kata-agent.tar.zst"
    )
    arguments = parser.parse_args()
    INTERRUPTION.install()
    progress = Progress()
    try:
        # The tarball holds the image's sources, so the image must be current.
        image = build.ensure_current(progress)
        with progress.step("tarball"):
            make(image, arguments.file)
    except Interrupted as interrupted:
        return 128 + interrupted.number
    except (GuestError, OSError, subprocess.CalledProcessError) as error:
        print(f"guest tarball: {error}", file=sys.stderr)
        return 1
    content = arguments.file.read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    progress.note(f"{arguments.file}  {len(content) / 2**20:.1f} MiB  sha256 {digest}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
