# SPDX-License-Identifier: Apache-2.0
"""What unpacks and packs copies in a container: lines for any POSIX shell.

The programs are the container's own. GNU's tar keeps extended attributes, if it is
asked to; busybox's does not, and no tar but GNU's takes an archive with holes. So files
with holes go before the archive, and are links in it (`kata_host.tar.staging`).
"""

from __future__ import annotations

from typing import Final

from kata_host.tar.staging import WHOLE

NO_ATTRIBUTES: Final = "kata: no extended attributes"
"""What the script says at its end if tar does not keep them."""
_TAR: Final = (
    # -f: no names of files for the patterns.
    "set -f; if tar --xattrs-include=x --version >/dev/null 2>&1; then keeps=yes; "
    'set -- "$@" --xattrs --xattrs-include=user.* '
    "--xattrs-include=security.capability; else keeps=; fi; "
)
"""Adds the options for extended attributes to the arguments, if tar knows them."""
EXTRACT: Final = (
    f'dir=$1; shift; {_TAR}tar -x -p "$@" -f - -C "$dir" || exit; '
    f'[ "$keeps" ] || echo "{NO_ATTRIBUTES}" >&2'
)
"""Unpacks an archive in the folder $1."""
CREATE: Final = (
    f'dir=$1 name=$2; shift 2; {_TAR}exec tar -c "$@" -f - -C "$dir" "$name"'
)
"""Packs what has the name $2 in the folder $1."""
PLACE: Final = (
    "dir=$1 part=$1/$2 to=$3; shift 3; "
    'clean() { set +f; rm -rf -- "$part" "$part".?*; }; '
    'fail() { clean; exit "$1"; }; '
    "archive=; while read -r word a b; do case $word in "
    'file) file=$part.$a size=$b; : >"$file" || fail 1;; '
    'data) dd bs=65536 seek="$a" count="$b" conv=notrunc iflag=fullblock status=none '
    'of="$file" || fail 1;; '
    # It may have become longer, by the last block, or not long enough.
    'end) dd if=/dev/null bs=1 seek="$size" count=0 status=none of="$file" && '
    'chmod "$a" "$file" || fail 1; touch -d "@$b" "$file" 2>/dev/null;; '
    "archive) archive=yes; break;; esac; done; "
    '[ "$archive" ] || fail 1; '
    f'{_TAR}tar -x -p "$@" -f - -C "$dir" || fail $?; set +f; '
    f'[ -e "$part.{WHOLE}" ] || fail 1; rm -f -- "$part".?*; '
    'if [ "$to" ]; then mv -f -- "$part" "$to" || fail $?; fi; '
    f'[ "$keeps" ] || echo "{NO_ATTRIBUTES}" >&2'
)
"""Unpacks what `kata_host.tar.pack` makes, with the part $2, in the folder $1. What has
the name of the part becomes $3, if that is not empty. If the input ends too soon, or
something fails, nothing has the name of the part."""
