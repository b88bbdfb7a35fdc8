# SPDX-License-Identifier: Apache-2.0
"""Standard output and error as programs of ours print to them."""

from __future__ import annotations

import io
import os
import sys
from typing import Final, TextIO

from kata_host.error_file import ErrorFile
from kata_host.output_file import OutputFile

STDOUT: Final = 1
STDERR: Final = 2


def open_standard_outputs() -> None:
    """Have `print` write to these files, and escape what their encoding lacks."""
    sys.stdout = _text(OutputFile(STDOUT), sys.stdout, os.isatty(STDOUT))
    sys.stderr = _text(ErrorFile(STDERR), sys.stderr, True)


def drop_standard_output() -> None:
    """Send what is not written yet nowhere, so that the flush at exit cannot fail."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, STDOUT)
    os.close(null)


def _text(file: OutputFile, before: TextIO, by_lines: bool) -> io.TextIOWrapper:
    return io.TextIOWrapper(
        io.BufferedWriter(file),
        encoding=before.encoding,
        errors="backslashreplace",
        line_buffering=by_lines,
    )
