# SPDX-License-Identifier: Apache-2.0
"""Write what shells and man read of our programs, made from their parsers.

python docs/tools/share.py PREFIX
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

HERE: Final = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parents[1] / "src")]

from completion import write_completions  # noqa: E402  # after the lines above
from man_pages import write_man_pages  # noqa: E402

from kata_host.ctl.program import PROGRAM, make_parser  # noqa: E402
from kata_host.forwarder import command_line  # noqa: E402


def write_share(prefix: Path) -> None:
    """Write `share/` below a prefix."""
    for write in (write_completions, write_man_pages):
        # Each writer changes the parser that it is given.
        control = make_parser()
        control.prog = PROGRAM
        write(control, prefix)
        write(command_line.make_parser(), prefix)


if __name__ == "__main__":
    write_share(Path(sys.argv[1]))
