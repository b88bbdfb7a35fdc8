# SPDX-License-Identifier: Apache-2.0
"""A VM that goes on from a snapshot instead of booting, where that can be done.

The first start of a kind makes the snapshot, from a guest that boots for that alone and
in which nothing of a user runs. Whatever goes wrong with it, the guest boots.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, Self

from kata_host.explain import explain
from kata_host.guest.guest import GuestError
from kata_host.guest.image.store import Image, cache
from kata_host.guest.snapshot_store import SnapshotError, SnapshotStore, is_sound
from kata_host.guest.vm_accelerator import choose_accelerator
from kata_host.guest.vm_command import QEMU, Machine, Sockets, qemu_command
from kata_host.guest.vm_guest import VmGuest
from kata_host.guest.vm_snapshot import save

FORMAT: Final = 1
"""To be raised when older snapshots must not be used any more."""

log = logging.getLogger(__name__)


class WarmVmGuest:
    """A VM in `directory`, which is made at start and removed at the end."""

    def __init__(
        self,
        image: Image,
        directory: Path | None = None,
        *,
        machine: Machine | None = None,
        warn: Callable[[str], None] = log.warning,
    ) -> None:
        """Make a guest that is not started; `warn` is told why one is not restored."""
        self._image = image
        self._warn = warn
        self._directory = directory
        self._machine = machine or Machine()
        self._store = SnapshotStore(image.directory / "snapshots")
        self._is_given_up = False
        self._maker: VmGuest | None = None
        self._guest = VmGuest(image, directory, machine=machine)

    @property
    def directory(self) -> Path:
        return self._guest.directory

    @property
    def socket(self) -> Path:
        return self._guest.socket

    @property
    def address(self) -> str:
        return self._guest.address

    def start(self) -> None:
        """Restore the VM, or boot it, and return when the agent listens.

        The agent has fresh entropy and the time then. Raises `GuestError` as
        `VmGuest.start` does; nothing is left of the VM then.
        """
        if self._machine.devices:
            # Their state may be that of files and programs of this host.
            log.info("vm %s: has devices of its own, and boots", self.directory)
        else:
            try:
                self._restore()
                return
            except (GuestError, OSError) as error:
                if self._is_given_up:
                    raise
                reason = explain(error).partition("\n")[0]  # Without the console.
                self._warn(f"vm {self.directory}: boots, not restored: {reason}")
        self._use(VmGuest(self._image, self._directory, machine=self._machine))
        self._guest.start()

    def give_up(self) -> None:
        # First, because guests that are made from now on look at it.
        self._is_given_up = True
        for guest in (self._maker, self._guest):
            if guest is not None:
                guest.give_up()

    def ending(self, timeout: float = 0) -> str | None:
        return self._guest.ending(timeout)

    def console_tail(self, lines: int = 20) -> Sequence[str]:
        return self._guest.console_tail(lines)

    def stop(self) -> None:
        self._guest.stop()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.stop()

    def _restore(self) -> None:
        archive = self._image.boot_archive()
        key = _key(self._image, self._machine, archive)
        snapshot = self._store.open(key, self._save, lambda: self._is_given_up)
        try:
            with ThreadPoolExecutor(1) as reader:
                sound = reader.submit(is_sound, snapshot)
                self._use(
                    VmGuest(
                        self._image,
                        self._directory,
                        machine=self._machine,
                        initrd=archive,
                        snapshot=snapshot,
                    )
                )
                self._guest.launch()
                try:
                    self._finish(key, sound.result)
                except BaseException:
                    self._guest.stop()
                    raise
        finally:
            os.close(snapshot)

    def _finish(self, key: str, is_sound: Callable[[], bool]) -> None:
        if not is_sound():
            self._store.remove(key)
            raise SnapshotError(f"snapshot {key}: damaged, and removed")
        try:
            self._guest.wait_until_ready()
        except GuestError:
            if not self._is_given_up:
                self._store.refuse(key)
            raise

    def _save(self, fd: int) -> None:
        """Boot a VM of the same kind, and write its state to `fd`."""
        self._maker = maker = VmGuest(self._image, machine=self._machine)
        if self._is_given_up:
            maker.give_up()
        with maker:
            save(maker.sockets, fd)

    def _use(self, guest: VmGuest) -> None:
        """Have `guest` be the one that this object stands for."""
        self._guest = guest
        if self._is_given_up:
            guest.give_up()


def _key(image: Image, machine: Machine, initrd: Path) -> str:
    """Return the digest of all that the state of a VM depends on."""
    accelerator = choose_accelerator(image.kernel, cache())
    command = qemu_command(
        machine,
        Sockets(Path()),
        kernel=image.kernel,
        initrd=initrd,
        root=image.root,
        accelerator=accelerator,
    )
    qemu = Path(shutil.which(QEMU) or QEMU).resolve()
    program = qemu.stat()
    parts = [FORMAT, image.manifest, command, str(qemu)]
    parts += [program.st_size, program.st_mtime_ns]
    if accelerator == "kvm":
        # The guest has the processor of this host.
        parts += [os.uname().release, _processor()]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def _processor() -> list[str]:
    """Return the lines of /proc/cpuinfo that say what the first processor can do."""
    first, _, _ = Path("/proc/cpuinfo").read_text().partition("\n\n")
    names = ("vendor_id", "cpu family", "model", "stepping", "microcode", "flags")
    return [line for line in first.splitlines() if line.startswith(names)]
