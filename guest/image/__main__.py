# SPDX-License-Identifier: Apache-2.0
"""`python -m guest.image`: build the guest image and say where it is."""

from __future__ import annotations

import argparse
import subprocess
import sys

from guest.image import build
from guest.image.apt import AptError
from guest.image.progress import Progress
from guest.image.python import PipError
from guest.kernel import KernelError


def main() -> int:
    """Build, or with `--if-missing` only when there is no image of this recipe."""
    parser = argparse.ArgumentParser(prog="python -m guest.image", description=__doc__)
    parser.add_argument("--if-missing", action="store_true")
    arguments = parser.parse_args()
    make = build.ensure if arguments.if_missing else build.build
    try:
        image = make(Progress())
    except (AptError, PipError, KernelError, OSError) as error:
        print(f"guest image: {error}", file=sys.stderr)
        return 1
    except subprocess.CalledProcessError as error:
        print(
            f"guest image: {error.cmd[0]}: status {error.returncode}", file=sys.stderr
        )
        return 1
    print(image.directory)
    return 0


if __name__ == "__main__":
    sys.exit(main())
