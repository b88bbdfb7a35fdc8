# SPDX-License-Identifier: Apache-2.0
"""Capabilities and resource limits of a process, in the words of a command line."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Final

from kata_host.client.spec import CAPABILITIES
from kata_protos import oci_pb2

ALL: Final = (
    *("AUDIT_CONTROL", "AUDIT_READ", "AUDIT_WRITE", "BLOCK_SUSPEND", "BPF"),
    *("CHECKPOINT_RESTORE", "CHOWN", "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER"),
    *("FSETID", "IPC_LOCK", "IPC_OWNER", "KILL", "LEASE", "LINUX_IMMUTABLE"),
    *("MAC_ADMIN", "MAC_OVERRIDE", "MKNOD", "NET_ADMIN", "NET_BIND_SERVICE"),
    *("NET_BROADCAST", "NET_RAW", "PERFMON", "SETFCAP", "SETGID", "SETPCAP", "SETUID"),
    *("SYSLOG", "SYS_ADMIN", "SYS_BOOT", "SYS_CHROOT", "SYS_MODULE", "SYS_NICE"),
    *("SYS_PACCT", "SYS_PTRACE", "SYS_RAWIO", "SYS_RESOURCE", "SYS_TIME"),
    *("SYS_TTY_CONFIG", "WAKE_ALARM"),
)
"""Of man 7 capabilities, without `CAP_`."""
RLIMITS: Final = (
    *("as", "core", "cpu", "data", "fsize", "locks", "memlock", "msgqueue", "nice"),
    *("nofile", "nproc", "rss", "rtprio", "rttime", "sigpending", "stack"),
)
"""Of man 2 getrlimit, without `RLIMIT_`."""
_UNLIMITED: Final = 2**64 - 1
_RLIMIT: Final = re.compile(r"([a-z]+)=(-1|\d{1,19})(?::(-1|\d{1,19}))?", re.ASCII)


def adjusted_capabilities(add: Iterable[str], drop: Iterable[str]) -> Sequence[str]:
    """Return docker's set of capabilities, less `drop`, plus `add`.

    A name is as in man 7 capabilities, in any case and with or without `CAP_`; `ALL` is
    every one. Raises `ValueError` for another name.
    """
    dropped, added = _names(drop), _names(add)
    kept = [name for name in CAPABILITIES if name not in dropped]
    return list(dict.fromkeys([*kept, *added]))


def _names(words: Iterable[str]) -> Sequence[str]:
    names: list[str] = []
    for word in words:
        name = word.upper().removeprefix("CAP_")
        if name == "ALL":
            names += ALL
        elif name in ALL:
            names.append(name)
        else:
            raise ValueError(f"capability {word!r}: unknown")
    return [f"CAP_{name}" for name in names]


def parse_rlimit(text: str) -> oci_pb2.POSIXRlimit:
    """Read `TYPE=SOFT[:HARD]`, as `docker run --ulimit`; -1 is no limit.

    Raises `ValueError`.
    """
    found = _RLIMIT.fullmatch(text)
    if found is None or found[1] not in RLIMITS:
        raise ValueError(f"ulimit {text!r}: not TYPE=SOFT[:HARD], such as nofile=1024")
    soft, hard = (
        _UNLIMITED if word == "-1" else int(word)
        for word in (found[2], found[3] or found[2])
    )
    if soft > hard:
        raise ValueError(f"ulimit {text!r}: the soft limit is over the hard one")
    return oci_pb2.POSIXRlimit(Type=f"RLIMIT_{found[1].upper()}", Soft=soft, Hard=hard)
