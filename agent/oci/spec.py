# SPDX-License-Identifier: Apache-2.0
"""The type of OCI runtime specifications."""

from __future__ import annotations

from typing import Any, TypeAlias

Spec: TypeAlias = dict[str, Any]
"""An OCI runtime specification (or a part of it), as `config.json` holds it."""
