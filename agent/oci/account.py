# SPDX-License-Identifier: Apache-2.0
"""Lines of `/etc/passwd` and `/etc/group` (man 5 passwd, man 5 group)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Final, NamedTuple, Protocol, TypeVar

_ID_LIMIT: Final = (1 << 32) - 1
"""The first number that is no id: the kernel takes it for "unchanged"."""
_LONGEST_ID: Final = len(str(_ID_LIMIT))
_FIELDS: Final = 7
"""Of a user; a group has less. A hostile line may have a million."""
_PATH_MAX: Final = 4096
_COMMENT_OR_NIS: Final = ("#", "+", "-")


class Account(Protocol):
    """A user or a group."""

    @property
    def name(self) -> str: ...

    @property
    def id(self) -> int: ...


A = TypeVar("A", bound=Account)


class UserAccount(NamedTuple):
    """A line of `/etc/passwd`."""

    name: str
    id: int
    gid: int
    home: str
    """The home directory; `/` if the line has no path."""


class GroupAccount(NamedTuple):
    """A line of `/etc/group`."""

    name: str
    id: int
    members: str
    """The names of its users, with commas between them."""

    def has_member(self, name: str) -> bool:
        return f",{name}," in f",{self.members},"


def to_id(text: str) -> int | None:
    """Return the user or group id that `text` is, or None if it is none."""
    if not (text.isascii() and text.isdecimal()) or len(text) > _LONGEST_ID:
        return None
    number = int(text)
    return number if is_id(number) else None


def is_id(number: int) -> bool:
    """Tell whether the kernel has `number` as a user or group id."""
    return 0 <= number < _ID_LIMIT


def parse_users(passwd: bytes) -> Iterator[UserAccount]:
    """Return the well-formed lines of `/etc/passwd`."""
    for name, _, uid, gid, *rest in _lines(passwd):
        user_id, group_id = to_id(uid), to_id(gid)
        if user_id is not None and group_id is not None:
            home = rest[1] if len(rest) > 1 else ""
            if not home.startswith("/") or "\0" in home or len(home) > _PATH_MAX:
                home = "/"
            yield UserAccount(name, user_id, group_id, home)


def parse_groups(group: bytes) -> Iterator[GroupAccount]:
    """Return the well-formed lines of `/etc/group`."""
    for name, _, gid, members, *_ in _lines(group):
        group_id = to_id(gid)
        if group_id is not None:
            yield GroupAccount(name, group_id, members)


def _lines(file: bytes) -> Iterator[list[str]]:
    """Return the fields of each line that names an account and has four of them."""
    # Not `str.splitlines`, which also splits inside of a user's full name.
    for line in file.split(b"\n"):
        fields = line.decode(errors="replace").split(":", _FIELDS - 1)
        if len(fields) >= 4 and fields[0] and fields[0][0] not in _COMMENT_OR_NIS:
            yield fields


def find_account(
    parse: Callable[[bytes], Iterable[A]], file: bytes, name: str
) -> A | None:
    """Return the first account with this name or, for digits, with this id."""
    number = to_id(name)
    numbered: A | None = None
    for account in parse(file):
        if account.name == name:
            return account
        if numbered is None and account.id == number:
            numbered = account
    return numbered
