# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from tests.helpers.interop import go_programs

__all__ = ["go_programs"]
