# SPDX-License-Identifier: Apache-2.0
"""How reading an archive fails."""


class TarError(Exception):
    """The stream is no archive, or one that is refused; the message is one line."""
