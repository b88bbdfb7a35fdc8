# SPDX-License-Identifier: Apache-2.0
"""PCI addresses in a process's environment.

Device plugins of Kubernetes name passed-through devices by the host's addresses, in
`PCIDEVICE_NAME`, a list, and in `PCIDEVICE_NAME_INFO`, JSON that contains them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final

PREFIX: Final = "PCIDEVICE_"
ADDRESS: Final = re.compile(r"[0-9a-fA-F]{4,8}:[0-9a-fA-F]{2}:[0-9a-fA-F]{2}\.[0-7]")


def translate(env: Iterable[str], addresses: Mapping[str, str]) -> list[str]:
    """Return `env` with the guest's address in place of the host's.

    `env` is `NAME=VALUE` strings, `addresses` host address -> guest address
    (`0000:3b:00.1`). Addresses that are not in `addresses` stay.
    """

    def to_guest(match: re.Match[str]) -> str:
        return addresses.get(match[0], match[0])

    return [
        ADDRESS.sub(to_guest, variable) if variable.startswith(PREFIX) else variable
        for variable in env
    ]
