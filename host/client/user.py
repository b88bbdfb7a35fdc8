# SPDX-License-Identifier: Apache-2.0
"""The user of a process, by names or ids of the container."""

from __future__ import annotations

from kata_protos import agent_pb2


def parse_user(text: str) -> agent_pb2.StringUser:
    """Read `USER[:GROUP]`, as `docker run --user`; each is a name or a number.

    The guest looks names up, in the container's `/etc/passwd` and `/etc/group`. Raises
    `ValueError`.
    """
    user, colon, group = text.partition(":")
    if not user or (colon and not group) or ":" in group:
        raise ValueError(f"user {text!r}: not USER or USER:GROUP")
    return agent_pb2.StringUser(uid=user, gid=group)
