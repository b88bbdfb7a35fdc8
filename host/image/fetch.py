# SPDX-License-Identifier: Apache-2.0
"""An image of a registry, fetched by skopeo: registries speak TLS, and ask for logins.

skopeo reads the credentials and the policy of this user (`skopeo login`,
containers-policy.json(5)).
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Final

from kata_host.image.errors import ImageError
from kata_host.image.reference import is_local_registry
from kata_host.needed_programs import missing

_POLICIES: Final = ("/etc/containers/policy.json", "~/.config/containers/policy.json")


def fetch(reference: str, directory: Path) -> Path:
    """Fetch an image of this host's platform into a new layout of the OCI, return it.

    Raises `ImageError`.
    """
    if fault := missing("skopeo"):
        raise ImageError(f"image '{reference}': not in the store, and {fault}")
    command = ["skopeo"]
    if not any(os.path.exists(os.path.expanduser(path)) for path in _POLICIES):
        # What Debian's policy says, where that package is not.
        command.append("--insecure-policy")
    command += ["copy", "--quiet"]
    if is_local_registry(reference):
        command.append("--src-tls-verify=false")
    command += [f"docker://{reference}", f"oci:{directory}:image"]
    done = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
    )
    if done.returncode:
        lines = done.stderr.strip().splitlines() or ["failed"]
        raise ImageError(f"image '{reference}': skopeo: {lines[-1]}")
    return directory
