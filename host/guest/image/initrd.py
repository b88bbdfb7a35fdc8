# SPDX-License-Identifier: Apache-2.0
"""The initrd, which mounts the root disk: a busybox, a script and kernel modules."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from kata_host.guest.image.agent import HOME
from kata_host.guest.image.cpio import CpioArchive

SOURCE: Final = "source"
"""The directory of a second archive with our packages, which replace the image's."""

HANDOVER: Final = "the root disk is there"
"""The line of the kernel's log at the initrd's end; `bench/boot.py` looks for it."""

_SCRIPT: Final = f"""\
#!/busybox sh
# Mounts the root disk read-only and hands over to the agent as PID 1.
B=/busybox
$B mount -t devtmpfs dev /dev
while read -r module; do $B insmod "/modules/$module"; done < /modules/order

n=0
until [ -b /dev/vda ]; do
    n=$((n + 1))
    [ $n -lt 500 ] || {{ echo "initrd: no root disk after 5 s"; exit 1; }}
    $B usleep 10000
done
if ! $B mount -t erofs -o ro /dev/vda /root; then
    echo "initrd: no root file system on /dev/vda"
    exit 1
fi

if [ -d /{SOURCE} ]; then
    $B mount -t tmpfs -o mode=755 source /root/{HOME}/source
    $B cp -a /{SOURCE}/. /root/{HOME}/source
    $B mount -o remount,ro /root/{HOME}/source
fi
echo "initrd: {HANDOVER}" > /dev/kmsg
$B mount -o move /dev /root/dev
exec $B switch_root /root "${{guest_init:-/usr/bin/kata-agent}}"
"""


def build(tree: Path, boot_modules: Sequence[Path], *, time: int = 0) -> bytes:
    """Return the initrd, which loads the modules in the given order."""
    archive = CpioArchive(time=time)
    for name in ("dev", "proc", "sys", "root"):
        archive.add_directory(name)
    archive.add_file("busybox", (tree / "usr/bin/busybox").read_bytes(), 0o755)
    archive.add_file("init", _SCRIPT.encode(), 0o755)
    for module in boot_modules:
        archive.add_file(f"modules/{module.name}", module.read_bytes())
    order = "".join(f"{module.name}\n" for module in boot_modules)
    archive.add_file("modules/order", order.encode())
    return archive.finish()
