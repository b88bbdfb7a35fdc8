# SPDX-License-Identifier: Apache-2.0
"""A tar that fails with 64 MiB of errors."""

from __future__ import annotations

import os
from pathlib import Path


def path_with_talking_tar(folder: Path) -> str:
    """Put the program into a new folder; return a PATH that begins with it."""
    folder.mkdir()
    program = folder / "tar"
    program.write_text(
        "#!/bin/sh\necho first >&2; /usr/bin/yes | head -c 64M >&2; exit 2\n"
    )
    program.chmod(0o755)
    return f"{folder}:{os.environ['PATH']}"
