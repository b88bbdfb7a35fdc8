# SPDX-License-Identifier: Apache-2.0
"""The known deviations of an agent, from a file that its developers keep.

    [[deviation]]
    case = "WaitProcess-*"          # the id of a case, or a pattern (fnmatch)
    codes = ["INTERNAL"]            # accepted as well as those of the table; or:
    skip = true                     # not run at all
    reason = "issue 123"

`CONFORMANCE_DEVIATIONS` names the file. A pattern that fits no case is an error.
"""

from __future__ import annotations

import dataclasses
import os
import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Self

import pytest

from tests.helpers.conformance.case import Case
from ttrpc.codes import Code


@dataclass(frozen=True, slots=True)
class Deviation:
    """One deviation: the cases, and the codes or the skip."""

    pattern: str
    reason: str
    codes: tuple[Code, ...] = ()
    skip: bool = False

    @classmethod
    def parse(cls, entry: dict[str, Any]) -> Self:
        """Read an entry of the file. Raises `ValueError` for an invalid one."""
        unknown = set(entry) - {"case", "reason", "codes", "skip"}
        if unknown or not entry.get("case") or not entry.get("reason"):
            raise ValueError(f"deviation {entry}: takes case, reason, codes or skip")
        try:
            codes = tuple(Code[name] for name in entry.get("codes", ()))
        except KeyError as error:
            raise ValueError(f"deviation {entry}: no code {error}") from None
        skip = bool(entry.get("skip"))
        if skip == bool(codes):
            raise ValueError(f"deviation {entry}: either codes or skip")
        return cls(entry["case"], entry["reason"], codes, skip)

    def fits(self, case: Case) -> bool:
        return fnmatchcase(case.id, self.pattern)


class Deviations:
    """All entries of a file."""

    def __init__(self, entries: Iterable[Deviation] = ()) -> None:
        self._entries = list(entries)

    def __bool__(self) -> bool:
        return bool(self._entries)

    @classmethod
    def load(cls) -> Self:
        """Read the file that `CONFORMANCE_DEVIATIONS` names, if it is set."""
        name = os.environ.get("CONFORMANCE_DEVIATIONS", "")
        if not name:
            return cls()
        document = tomllib.loads(Path(name).read_text())
        return cls(map(Deviation.parse, document["deviation"]))

    def apply(self, case: Case) -> Case:
        """Return the case with the codes of its deviations, or skip the test."""
        for entry in self._entries:
            if entry.fits(case):
                if entry.skip:
                    pytest.skip(entry.reason)
                others = (*case.others, *entry.codes)
                case = dataclasses.replace(case, others=others)
        return case

    def unknown(self, cases: Sequence[Case]) -> list[str]:
        """Return the patterns that fit no case."""
        return [
            entry.pattern
            for entry in self._entries
            if not any(entry.fits(case) for case in cases)
        ]
