# SPDX-License-Identifier: Apache-2.0
"""The comments of a .proto as docstrings."""

from __future__ import annotations

import re
from typing import Final

from google.protobuf.descriptor_pb2 import FileDescriptorProto

LINE: Final = 88
"""Letters of a line."""


class Docstrings:
    """The comments of a file, by the paths of what they describe.

    google/protobuf/descriptor.proto, message SourceCodeInfo, defines the paths.
    """

    def __init__(self, file: FileDescriptorProto) -> None:
        self._comments: dict[tuple[int, ...], str] = {}
        for location in file.source_code_info.location:
            for comment in (location.leading_comments, location.trailing_comments):
                if comment.strip():
                    self._comments.setdefault(tuple(location.path), comment.strip())

    def comment(self, path: tuple[int, ...]) -> str:
        """Return the comment before a thing, or else behind it, or else nothing."""
        return self._comments.get(path, "")


def docstring(text: str, margin: int) -> str:
    """Return the lines of a docstring, behind `margin` spaces."""
    text = text.replace("\\", "\\\\").replace('"""', "'''")
    # Source code holds no control characters.
    text = "".join(it if it.isprintable() or it.isspace() else "?" for it in text)
    space = " " * margin
    lines = [line.strip() for line in text.splitlines()]
    if len(lines) == 1 and len(lines[0]) + margin + 6 <= LINE:
        line = re.sub('"$', r"\"", lines[0])
        return f'{space}"""{line}"""'
    rest = [f"{space}{line}".rstrip() for line in lines[1:]]
    return "\n".join([f'{space}"""{lines[0]}', *rest, f'{space}"""'])
