# SPDX-License-Identifier: Apache-2.0
"""The start of `kata-agent-ctl`: `program.py` is imported once Control-C is quiet."""

from __future__ import annotations

import sys

from kata_host.early_interrupt import end_when_interrupted


def main() -> int:
    """Run the program; return its exit status."""
    end_when_interrupted()
    from kata_host.ctl.program import main as run

    return run()


if __name__ == "__main__":
    sys.exit(main())
