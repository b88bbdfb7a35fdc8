# SPDX-License-Identifier: Apache-2.0
"""The user of a process: names become ids, and `HOME` is set.

The names are those of `/etc/passwd` and `/etc/group` as the container sees them.
"""

from __future__ import annotations

import logging

from kata_agent.errors import InvalidArgument
from kata_agent.oci.account import (
    GroupAccount,
    UserAccount,
    find_account,
    is_id,
    parse_groups,
    parse_users,
    to_id,
)
from kata_agent.oci.container_root import ContainerRoot
from kata_agent.oci.spec import Spec
from kata_protos import agent_pb2

log = logging.getLogger(__name__)


def apply_user(
    process: Spec, wanted: agent_pb2.StringUser, root: ContainerRoot
) -> None:
    """Replace the names of `wanted`, or the `username` of the spec, by ids.

    The ids of the spec stay if both are empty, and its additional groups always do. A
    user who is named has the groups of `/etc/group` too, unless `wanted` names groups.
    `HOME` is added to the environment if it has none. May block. Raises
    `InvalidArgument` for a name that the container does not have.
    """
    user = process["user"]
    name = wanted.uid or user.get("username", "")
    user.pop("username", None)
    account = _apply_names(user, name, wanted, root)
    groups = [("gid", gid) for gid in user.get("additionalGids", [])]
    for kind, number in [("uid", user["uid"]), ("gid", user["gid"]), *groups]:
        if not is_id(number):
            raise InvalidArgument(f"{kind} {number}: not an id")
    if not any(entry.startswith("HOME=") for entry in process["env"]):
        home = account.home if account else _find_home(user["uid"], root)
        process["env"] = [*process["env"], f"HOME={home}"]


def _apply_names(
    user: Spec, name: str, wanted: agent_pb2.StringUser, root: ContainerRoot
) -> UserAccount | None:
    """Fill in the ids of the names; return the account of a user who is named."""
    account: UserAccount | None = None
    groups: list[int] = []
    if name:
        account = find_account(parse_users, root.read("/etc/passwd"), name)
        user["uid"] = _to_number("user", name, account)
    if account or wanted.gid or wanted.additionalGids:
        file = root.read("/etc/group")
        if account:
            user["gid"] = account.gid
            groups = [
                group.id
                for group in parse_groups(file)
                if group.has_member(account.name)
            ]
        if wanted.gid:
            found = find_account(parse_groups, file, wanted.gid)
            user["gid"] = _to_number("group", wanted.gid, found)
        if wanted.additionalGids:
            groups = [
                _to_number("group", group, find_account(parse_groups, file, group))
                for group in wanted.additionalGids
            ]
    if groups:
        # Without doubles, in this order.
        user["additionalGids"] = list(
            dict.fromkeys([*user.get("additionalGids", []), *groups])
        )
    return account


def _to_number(kind: str, name: str, account: UserAccount | GroupAccount | None) -> int:
    number = account.id if account else to_id(name)
    if number is None:
        raise InvalidArgument(f"{kind} {name!r}: not in the container's image")
    return number


def _find_home(uid: int, root: ContainerRoot) -> str:
    """Return the home directory of a user; `/` for a user without an account."""
    try:
        for account in parse_users(root.read("/etc/passwd")):
            if account.id == uid:
                return account.home
    except InvalidArgument as error:
        # No name was asked for, so the process runs without the file, too.
        log.warning("no home directory looked up", extra={"error": str(error)})
    return "/"
