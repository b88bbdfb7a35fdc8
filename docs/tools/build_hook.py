# SPDX-License-Identifier: Apache-2.0
"""Has hatchling put into the wheel what shells and man read of our programs."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

sys.path.insert(0, str(Path(__file__).parent))

from share import write_share  # after the line above


class BuildHook(BuildHookInterface[Any]):
    """Makes the files when a wheel is built, also one for an editable install."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        self._made = tempfile.TemporaryDirectory()
        write_share(Path(self._made.name))
        build_data["shared_data"][f"{self._made.name}/share"] = "share"

    def finalize(
        self, version: str, build_data: dict[str, Any], artifact_path: str
    ) -> None:
        self._made.cleanup()
