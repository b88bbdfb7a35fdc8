# SPDX-License-Identifier: Apache-2.0
"""What handles files inside of a box or a guest: lines for busybox's shell.

`$B` is busybox. The first line on standard error is the reason of a failure, behind the
last `: ` of it.
"""

from __future__ import annotations

from typing import Final

_FOLDER: Final = (
    'folder() { "$B" test -d "$1" || '
    '{ "$B" mkdir -p -- "$1" && "$B" chown "$2" -- "$1"; }; }; '
)
"""Makes the folder $1 for the owner $2, unless it is there."""
WRITE: Final = (
    f'{_FOLDER} folder "$("$B" dirname -- "$1")" "$2" || exit; to=$1; '
    'if "$B" test -L "$1"; then to=$("$B" readlink -f -- "$1"); fi; '
    'if "$B" test -d "$to"; then echo ": Is a directory" >&2; exit 1; fi; '
    'if "$B" test -e "$to" && ! "$B" test -f "$to"; '
    'then echo ": Not a regular file" >&2; exit 1; fi; '
    # In /proc, no new file can be made; a file that is a mount cannot be replaced.
    'new=$("$B" dirname -- "$to")/$5; if ! (: > "$new") 2>/dev/null; '
    'then "$B" cat > "$to"; exit; fi; '
    '"$B" cat > "$new" && "$B" test "$("$B" stat -c %s -- "$new")" = "$4" && '
    '"$B" chown "$2" -- "$new" && "$B" chmod "$3" -- "$new" && '
    '{ "$B" mv -f -- "$new" "$to" 2>/dev/null || "$B" cat -- "$new" > "$to"; }; '
    'status=$?; "$B" rm -f -- "$new"; exit $status'
)
"""Writes $4 bytes to the file $1 for the owner $2 with the mode $3, by way of a file $5
beside it. With fewer bytes, nothing has changed at its end."""
NEW_TREE: Final = (
    f'{_FOLDER} if "$B" test -d "$1"; then "$B" echo there; exit; fi; '
    'if "$B" test -e "$1"; then echo ": Not a directory" >&2; exit 1; fi; '
    'at=$("$B" dirname -- "$1"); folder "$at" "$2" && folder "$at/$3" "$2"'
)
"""Makes the folder $3 beside $1, unless $1 is a folder; says `there` then."""
PLACE_TREE: Final = '"$B" mv -- "$("$B" dirname -- "$1")/$2" "$1"'
DROP_TREE: Final = '"$B" rm -rf -- "$("$B" dirname -- "$1")/$2"'
READ: Final = (
    'if "$B" test -p "$1"; then echo ": Is a fifo" >&2; exit 1; fi; "$B" cat -- "$1"'
)
IDS: Final = '"$B" id -u -- "$1" && "$B" id -g -- "$1"'
LIST: Final = 'cd -- "$1" && "$B" find . -mindepth 1 -maxdepth 1 -exec '
REMOVE: Final = '"$B" stat -- "$1" >/dev/null && "$B" rm -rf -- "$1"'
