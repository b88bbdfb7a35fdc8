# SPDX-License-Identifier: Apache-2.0
"""The kernel command line: `agent.log=debug agent.hotplug_timeout=10s ...`.

One word is one option. Words are read from left to right, a later one wins, and
there is no quoting. Names that do not begin with `agent.` belong to others and are
never an error. An invalid `agent.` option is one warning, keeps the value before it,
and never stops the boot. The options are in `kata_agent.options.table`.
"""

from __future__ import annotations

from typing import Final

from kata_agent.options.config import Config
from kata_agent.options.table import (
    FLAGS,
    MEM_AGENT,
    OPTIONS,
    WITHOUT_EFFECT,
    Changes,
)

CONFIG_FILE: Final = "agent.config_file"
"""The option that is not a setting itself: `kata_agent.options.load` looks for it."""


class OptionError(ValueError):
    """An invalid option; the message names the option, then the fault."""


def parse_word(word: str) -> Changes:
    """Return the changes that one word of the command line makes.

    Raises `OptionError` for an `agent.` option that is unknown or has an invalid value.
    """
    name, equals, rest = word.partition("=")
    if not equals:
        return FLAGS.get(word, {})
    # An address may hold a "="; Kata's agents cut all other values at the second one.
    value = rest if name == "agent.server_addr" else rest.partition("=")[0]
    if name == CONFIG_FILE or name in WITHOUT_EFFECT or name.startswith(MEM_AGENT):
        return {}
    parse = OPTIONS.get(name)
    if parse is None:
        if name.startswith("agent."):
            raise OptionError(f"option '{word}': unknown")
        return {}
    try:
        return parse(value)
    except ValueError as error:
        raise OptionError(f"option '{word}': {error}") from error


def parse_cmdline(text: str, config: Config) -> tuple[Config, list[str]]:
    """Return `config` with the changes of the command line `text`, and the warnings."""
    words = text.split()
    warnings = []
    for word in words:
        try:
            config = config._replace(**parse_word(word))
        except OptionError as error:
            warnings.append(str(error))
    # A kernel without cgroup v1 leaves no choice to a later word.
    if "cgroup_no_v1=all" in words:
        config = config._replace(unified_cgroup_hierarchy=True)
    return config, warnings


def find_config_file(text: str) -> str | None:
    """Return the value of the last `agent.config_file=` in the command line `text`."""
    values = [
        value
        for name, _, value in (word.partition("=") for word in text.split())
        if name == CONFIG_FILE and value
    ]
    return values[-1] if values else None
