# SPDX-License-Identifier: Apache-2.0
"""Builds the image: every step in order, from package lists to the manifest."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import json
import os
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from kata_host.explain import explain
from kata_host.guest.guest import GuestError
from kata_host.guest.image import agent, initrd, modules, python, store, tree
from kata_host.guest.image.apt import AptError, AptSuite
from kata_host.guest.image.progress import Progress
from kata_host.guest.image.python import PipError
from kata_host.guest.kernel import KernelError, extract
from kata_host.needed_programs import missing

PROGRAMS: Final = (
    *("apt-get", "dpkg-deb", "tar", "mkfs.erofs", "xz", "zstd"),
    *("patchelf", "modprobe", "depmod"),
)
"""Programs that the builder runs."""
USERLAND_SUITE: Final = "trixie"
KERNEL_SUITE: Final = "bookworm"
KERNEL_PACKAGE: Final = "linux-image-cloud-amd64"
"""A package without files that depends on the newest kernel package."""
_SAME_TAR: Final = (
    *("tar", "-c", "--sort=name", "--mtime=@0", "--owner=0", "--group=0"),
    "--numeric-owner",
)
"""A tar command that gives the same archive for the same files."""
_UUID_NAMESPACE: Final = uuid.UUID("7a1c9a0e-6a57-4e6f-9d0b-6b6174612d61")


def ensure(progress: Progress) -> store.Image:
    """Return the image; build it first if there is none.

    Raises `GuestError`.
    """
    with _errors():
        return store.find() or build(progress)


def ensure_current(progress: Progress) -> store.Image:
    """Return an image that holds the guest's packages as they are now.

    Raises `GuestError`.
    """
    with _errors():
        image = ensure(progress)
        if image.manifest["agent"] == agent.digest():
            return image
        return build(progress)


def build(progress: Progress) -> store.Image:
    """Build the image from the suites' current packages, and keep it.

    Raises `GuestError`, before anything is fetched if a program is missing.
    """
    if fault := missing_tools():
        raise GuestError(f"guest image: {fault}")
    with _errors(), store.locked():
        return _Builder(progress).run()


def missing_tools(*programs: str) -> str | None:
    """Return what `missing` does for the builder's programs and `programs`, and pip."""
    faults = [missing(*programs, *PROGRAMS)]
    if importlib.util.find_spec("pip") is None:
        faults.append("pip: not found (package python3-pip)")
    return "; ".join(filter(None, faults)) or None


@contextlib.contextmanager
def _errors() -> Iterator[None]:
    try:
        yield
    except (AptError, PipError, KernelError, OSError) as error:
        raise GuestError(f"guest image: {explain(error)}") from error
    except subprocess.CalledProcessError as error:
        raise GuestError(
            f"guest image: {error.cmd[0]}: status {error.returncode}"
        ) from error


class _Builder:
    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._cache = store.cache()

    def run(self) -> store.Image:
        for left in self._cache.glob("build-*"):
            # Of a builder that was killed, because this one holds the lock.
            shutil.rmtree(left, ignore_errors=True)
        work = Path(tempfile.mkdtemp(prefix="build-", dir=self._cache))
        work.chmod(0o755)
        # The modes of new files depend on the umask, and are part of the image.
        mask = os.umask(0o022)
        try:
            self._build(work)
            final = store.image_directory()
            shutil.rmtree(final, ignore_errors=True)
            work.rename(final)
            store.remove_old()
        except BaseException:
            shutil.rmtree(work, ignore_errors=True)
            raise
        finally:
            os.umask(mask)
        return store.Image(final)

    def _build(self, work: Path) -> None:
        step = self._progress.step
        with step("package lists"):
            userland = AptSuite(USERLAND_SUITE, self._cache / "apt" / USERLAND_SUITE)
            kernels = AptSuite(KERNEL_SUITE, self._cache / "apt" / KERNEL_SUITE)
            userland.update()
            kernels.update()
        with step("Debian packages"):
            packages = [p for p in userland.fetch(tree.PACKAGES) if tree.is_needed(p)]
            (kernel_name,) = (
                name
                for name in kernels.dependencies(KERNEL_PACKAGE)
                if name.startswith("linux-image-")
            )
            kernel_package = kernels.fetch_only(kernel_name)
        with step("Python packages"):
            wheels = python.fetch(self._cache / "pip")

        root = work / "tree"
        epoch = _epoch([*packages, kernel_package])
        with step("unpack"):
            tree.unpack(
                packages, root, lambda n: self._progress.update(n, len(packages))
            )
            tree.finish(root, python.VERSION)
            python.unpack(wheels, root / agent.HOME / "packages")
            agent.copy_source(root / agent.HOME / "source")
            agent.install_program(root)
        with step("compile"):
            stdlib = root / f"usr/lib/python{python.VERSION}"
            levels = {stdlib: (0, 2), root / agent.HOME: (2,)}
            tree.compile_python(root, python.VERSION, levels)
        with step("kernel and initrd"):
            version = kernel_name.removeprefix("linux-image-")
            boot_modules = self._kernel(work, kernel_package, version, root)
            (work / "initrd").write_bytes(initrd.build(root, boot_modules, time=epoch))
        with step("root disk"):
            _make_erofs(root, work / "root.erofs", epoch)

        manifest = self._manifest(work, [*packages, kernel_package], wheels, epoch)
        (work / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n")
        shutil.rmtree(work / "kernel")
        self._report(manifest)

    def _kernel(
        self, work: Path, package: Path, version: str, root: Path
    ) -> Sequence[Path]:
        """Unpack the kernel; return the modules that the initrd loads, in order."""
        unpacked = work / "kernel"
        tree.unpack_package(package, unpacked)
        bz_image = (unpacked / f"boot/vmlinuz-{version}").read_bytes()
        (work / "vmlinux").write_bytes(extract(bz_image))
        modules.install(unpacked, version, root)
        return modules.resolve(unpacked, version, [*modules.BOOT, *modules.DRIVERS])

    def _manifest(
        self, work: Path, packages: Sequence[Path], wheels: Sequence[Path], epoch: int
    ) -> dict[str, Any]:
        return {
            "recipe": store.recipe(),
            "agent": agent.digest(),
            "source_date_epoch": epoch,
            "suites": {"userland": USERLAND_SUITE, "kernel": KERNEL_SUITE},
            "debian": [package.stem for package in packages],
            "python": [wheel.name for wheel in wheels],
            "parts": {name: _describe(work / name) for name in store.PARTS},
            "agent_compressed": _compressed_tree(work / "tree" / agent.HOME),
        }

    def _report(self, manifest: dict[str, Any]) -> None:
        note = self._progress.note
        for name, part in manifest["parts"].items():
            sizes = f"{_mib(part['size'])}, compressed {_mib(part['compressed'])}"
            note(f"{name:12} {sizes}  sha256 {part['sha256']}")
        total = sum(part["compressed"] for part in manifest["parts"].values())
        own = manifest["agent_compressed"]
        note(f"image        compressed {_mib(total)}, of it the agent {_mib(own)}")


def _epoch(packages: Sequence[Path]) -> int:
    """Return SOURCE_DATE_EPOCH, or the time of the newest package, in seconds."""
    given = os.environ.get("SOURCE_DATE_EPOCH")
    if given:
        return int(given)
    return max(map(_published, packages))


def _published(package: Path) -> int:
    """Return the time in a package, because apt may not keep the time of the file.

    A .deb is an `ar` archive (man 5 deb, man 5 ar): a magic of 8 bytes, then a header
    whose first 16 bytes are a name and whose next 12 are the time in seconds.
    """
    with open(package, "rb") as file:
        return int(file.read(36)[24:])


def _make_erofs(root: Path, image: Path, epoch: int) -> None:
    command: list[str | Path] = ["mkfs.erofs", "--quiet", "--all-root", "-x-1"]
    identity = uuid.uuid5(_UUID_NAMESPACE, str(epoch))
    command += ["-zlz4hc", f"-T{epoch}", f"-U{identity}", image, root]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def _describe(path: Path) -> dict[str, int | str]:
    content = path.read_bytes()
    return {
        "size": len(content),
        "compressed": _compressed(content),
        "sha256": hashlib.sha256(content).hexdigest(),
    }


def _compressed(content: bytes) -> int:
    """Return the size in bytes after `xz -0`, the quickest and weakest level."""
    done = subprocess.run(
        ["xz", "-0", "--threads=0", "--stdout"],
        input=content,
        check=True,
        stdout=subprocess.PIPE,
    )
    return len(done.stdout)


def _compressed_tree(directory: Path) -> int:
    done = subprocess.run(
        [*_SAME_TAR, "-C", directory, "."],
        check=True,
        stdout=subprocess.PIPE,
    )
    return _compressed(done.stdout)


def _mib(size: int) -> str:
    return f"{size / (1 << 20):.1f} MiB"
