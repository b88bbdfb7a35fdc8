# SPDX-License-Identifier: Apache-2.0
"""What to say to a word that is no command: one of docker, or a slip of a key."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

DOCKER: Final = {
    "images": "image ls",
    "rmi": "image rm",
    "pull": "image import",
    "load": "image import",
    "create": "run -d, which starts it too",
    "start": "run -d, for a new container",
    "restart": "run -d, for a new container",
    "container": "ps, run, rm and so on, without a word before them",
    "port": "ps",
    "pause": "call PauseContainer",
    "unpause": "call ResumeContainer",
    "update": "call UpdateContainer",
    "version": "--version",
    "help": "--help",
}
"""Words of docker, and those that do the same here, or come nearest."""


def why_unknown(word: str, commands: Sequence[str]) -> str:
    """Return the line for `word`, which is none of `commands`."""
    if word in DOCKER:
        return f"no command '{word}': here it is {DOCKER[word]}"
    from difflib import get_close_matches

    if near := get_close_matches(word, commands, n=1):
        return f"no command '{word}': nearest is {near[0]}"
    return f"no command '{word}' (see kata-agent-ctl --help)"
