# SPDX-License-Identifier: Apache-2.0
"""Fuzz the parsers of untrusted bytes: frames, requests, answers and captures.

    python -m fuzz.frames [-max_total_time=60] [libFuzzer's options] [DIRECTORY]

Starts from `fuzz/corpus`. New inputs are kept in DIRECTORY if one is given. To add the
best of them to the corpus:

    python -m fuzz.frames -merge=1 fuzz/corpus DIRECTORY

`fuzz.replay.check` describes the form of an input.
"""

from __future__ import annotations

import logging
import sys
import tempfile
from pathlib import Path
from typing import Final

import atheris

with atheris.instrument_imports(include=["ttrpc"]):
    from fuzz.replay import check

CORPUS: Final = Path(__file__).parent / "corpus"


def main() -> None:
    logging.disable()
    arguments = sys.argv[1:]
    directories = [text for text in arguments if not text.startswith("-")]
    with tempfile.TemporaryDirectory() as scratch:
        if not any(text.startswith("-merge") for text in arguments):
            arguments += [] if directories else [scratch]
            arguments.append(str(CORPUS))
        # libFuzzer passes this to a shell to run itself, which it does to merge.
        program = f"{sys.executable} -m fuzz.frames"
        atheris.Setup([program, *arguments], check)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
