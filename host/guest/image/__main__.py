# SPDX-License-Identifier: Apache-2.0
"""`python -m kata_host.guest.image`: build the guest image and print its directory."""

from __future__ import annotations

import argparse
import sys

from kata_host.guest.guest import GuestError
from kata_host.guest.image import build
from kata_host.guest.image.progress import Progress
from kata_host.interrupted import Interrupted
from kata_host.interruption import INTERRUPTION


def main() -> int:
    """Build the image; return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m kata_host.guest.image", description=__doc__
    )
    parser.add_argument(
        "--if-missing",
        action="store_true",
        help="build only if this version of the builder has no image yet",
    )
    arguments = parser.parse_args()
    INTERRUPTION.install()
    make = build.ensure if arguments.if_missing else build.build
    try:
        image = make(Progress())
    except Interrupted as interrupted:
        return 128 + interrupted.number
    except GuestError as error:
        print(error, file=sys.stderr)
        return 1
    print(image.directory)
    return 0


if __name__ == "__main__":
    sys.exit(main())
