# SPDX-License-Identifier: Apache-2.0
"""The methods' paths, as HTTP/2 carries them."""

from __future__ import annotations

from typing import Final

SERVICE: Final = "peer.v1.Echo"
ECHO: Final = f"/{SERVICE}/Echo"
ECHO_STREAM: Final = f"/{SERVICE}/EchoStream"
