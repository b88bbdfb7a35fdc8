# SPDX-License-Identifier: Apache-2.0
"""The guest agent; `kata_agent.main` is where it starts."""

from kata_agent.version import VERSION as __version__

__all__ = ["__version__"]
