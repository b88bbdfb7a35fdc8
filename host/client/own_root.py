# SPDX-License-Identifier: Apache-2.0
"""The guest's own root in a container of ours, so that programs can handle its files.

A virtual machine's root is its own. A local guest's is this host's, which no copy into
the guest may change: there the kernel refuses whatever is not in the guest's own tmpfs
mounts. What decides is the guest's kernel: the agent of a machine is in the first pid
namespace, that of a local guest in one of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from kata_host.client.guest_container import GuestContainer
from kata_host.client.identifier import new_id
from kata_host.client.spec import CAPABILITIES, default_process
from kata_protos import oci_pb2

REFUSALS: Final = ("Read-only file system", "File exists")
"""The kernel's words (man 3 errno, EROFS), and those of GNU tar for a file that it
cannot remove first."""
_ALL: Final = "/guest/all"
"""The guest's root as the guest has it."""
_OWN: Final = "/guest/own"
"""The same without the right to write, but in what follows."""
_WRITABLE: Final = ("run", "dev/shm")
"""Where a local guest has a tmpfs of its own (`kata_host.guest.local_init`)."""
_MACHINE: Final = "machine"
_SHARED: Final = "shared"

# PROC_PID_INIT_INO of linux/proc_ns.h. A mount that is writable though it should not be
# is an error: the runtime may not know recursive flags.
_PREPARE: Final = f"""
if [ "$($B readlink {_ALL}/proc/1/ns/pid)" = "pid:[4026531836]" ]; then
  echo {_MACHINE}; exit
fi
$B umount -l {_ALL} || exit
own=
for part in {" ".join(_WRITABLE)}; do
  if $B grep -q " {_OWN}/$part .* - tmpfs " /proc/self/mountinfo; then
    $B mount -o remount,bind,rw tmpfs "{_OWN}/$part" || exit
    own="$own $part"
  fi
done
while read -r id parent numbers root point options rest; do
  case $point in {_OWN}|{_OWN}/*) ;; *) continue;; esac
  case ",$options," in *,ro,*) continue;; esac
  case " $own " in *" ${{point#{_OWN}/}} "*) continue;; esac
  echo "cannot be made read-only: ${{point#{_OWN}}}" >&2; exit 1
done < /proc/self/mountinfo
echo {_SHARED}
"""


@dataclass(frozen=True, slots=True)
class OwnRoot:
    """Where a container that has `own_root_mounts` sees the guest's root."""

    path: str
    is_shared: bool
    """Whether the root is another machine's too, and so not to be written."""

    def explained(self, reason: str) -> str:
        """Return why something was refused, with the cause if that is the root."""
        if not self.is_shared or not reason.endswith(REFUSALS):
            return reason
        return (
            f"{reason}: the root of a local guest is this host's; only /run and "
            "/dev/shm are the guest's own"
        )


def own_root_mounts() -> Sequence[oci_pb2.Mount]:
    """Return the mounts of a container that handles the guest's own files."""
    return [
        oci_pb2.Mount(
            destination=destination,
            source="/",
            type="bind",
            options=["rbind", "rprivate", mode],
        )
        for destination, mode in ((_ALL, "rw"), (_OWN, "rro"))
    ]


async def find_own_root(container: GuestContainer, busybox: str = "") -> OwnRoot:
    """Take away what programs in the container may not write; return what is left.

    `busybox` is its path there; without one, the container has the programs itself.
    Raises `OSError` if the guest's own files cannot be told from this host's, and the
    errors of the client.
    """
    process = default_process(
        [*([busybox] if busybox else []), "sh", "-c", _PREPARE],
        env={"B": busybox},
        capabilities=(*CAPABILITIES, "CAP_SYS_ADMIN", "CAP_SYS_PTRACE"),
    )
    preparing = await container.exec(new_id("own"), process)
    result = await preparing.communicate()
    match result.stdout.decode(errors="replace").split():
        case [word] if result.status == 0 and word == _MACHINE:
            return OwnRoot(_ALL, is_shared=False)
        case [word] if result.status == 0 and word == _SHARED:
            return OwnRoot(_OWN, is_shared=True)
    words = result.stderr.decode(errors="replace").split("\n")[0]
    raise OSError(f"guest's own root: {words or 'cannot be seen'}")
