# SPDX-License-Identifier: Apache-2.0
"""An image as one read-only disk: EROFS (kernel, filesystems/erofs.rst, erofs_fs.h).

The layers are merged while they are written, so the disk has what a container sees.
Owners, devices' absence and attributes are those of the layers, whoever writes: no tool
of Debian makes a file system from several tars without root. Nothing is compressed, so
a guest reads pages and decompresses none.

    block 0        the superblock, at byte 1024
    blocks 1...    content of files, each from a block's start
    then           inodes, with attributes, links and small directories inside
    at last        large directories
"""

from __future__ import annotations

import os
import stat
import struct
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import BinaryIO, Final

from kata_host.image.errors import ImageError
from kata_host.image.layer_sink import Attributes

BLOCK: Final = 4096
SUPERBLOCK_OFFSET: Final = 1024
SUPERBLOCK: Final = struct.Struct("<IIIBBHQQIIII16s16sI44x")
MAGIC: Final = 0xE0F5E1E2
COMPAT_MTIME: Final = 2
"""Inodes have the time of modification."""
INODE: Final = struct.Struct("<HHHHQIIIIqII16x")
EXTENDED: Final = 1
PLAIN: Final = 0 << 1
INLINE: Final = 2 << 1
"""Formats of an inode: 64 bytes, and where its data is."""
SLOT: Final = 32
"""Bytes of an inode's number."""
DIRENT: Final = struct.Struct("<QHBx")
XATTR_HEADER: Final = 12
XATTR: Final = struct.Struct("<BBH")
_PREFIXES: Final = (
    (b"user.", 1),
    (b"system.posix_acl_access", 2),
    (b"system.posix_acl_default", 3),
    (b"security.", 6),
)
_TYPES: Final = {stat.S_IFREG: 1, stat.S_IFDIR: 2, stat.S_IFIFO: 5, stat.S_IFLNK: 7}


@dataclass(slots=True, eq=False)
class _Node:
    type: int
    attributes: Attributes
    layer: int
    children: dict[bytes, _Node] = field(default_factory=dict)
    target: bytes = b""
    start: int = 0
    """The block of the content."""
    size: int = 0
    links: int = 0
    position: int = -1
    """The inode's offset among the inodes."""
    parent: _Node | None = None

    @property
    def is_directory(self) -> bool:
        return self.type == stat.S_IFDIR


class ErofsImage:
    """Writes layers, from the lowest up, into `file`, which is empty and can seek.

    A `LayerSink`; `finish` makes the disk whole.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._file.write(bytes(BLOCK))
        self._next = 1
        self._layer = 0
        self._root = _Node(stat.S_IFDIR, Attributes(), 0)

    def make_directory(self, path: str, attributes: Attributes) -> None:
        if not path:
            node = self._root
        else:
            parent, name = self._parent_of(path)
            found = parent.children.get(name)
            if found is None or not found.is_directory:
                found = _Node(stat.S_IFDIR, attributes, self._layer)
                parent.children[name] = found
            node = found
        node.attributes = attributes
        node.layer = self._layer

    def make_file(
        self, path: str, attributes: Attributes, chunks: Iterable[bytes]
    ) -> None:
        node = self._put(path, stat.S_IFREG, attributes)
        node.start = self._next
        for data in chunks:
            self._file.write(data)
            node.size += len(data)
        self._file.write(bytes(-node.size % BLOCK))
        self._next += -(-node.size // BLOCK)

    def make_symlink(self, path: str, attributes: Attributes, target: str) -> None:
        node = self._put(path, stat.S_IFLNK, attributes)
        node.target = os.fsencode(target)
        node.size = len(node.target)

    def make_fifo(self, path: str, attributes: Attributes) -> None:
        self._put(path, stat.S_IFIFO, attributes)

    def make_hard_link(self, path: str, target: str) -> None:
        node = self._find(target)
        if node is None or node.layer != self._layer:
            raise ImageError(f"hard link to {target!r:.200}: not in this layer")
        if node.is_directory:
            raise ImageError(f"hard link to {target!r:.200}: a directory")
        parent, name = self._parent_of(path)
        parent.children[name] = node

    def hide(self, path: str) -> None:
        around, _, name = path.rpartition("/")
        parent = self._find(around)
        node = parent.children.get(os.fsencode(name)) if parent else None
        if parent is None or node is None:
            return
        if node.layer < self._layer:
            del parent.children[os.fsencode(name)]
        elif node.is_directory:
            self._hide_lower(node)

    def hide_below(self, path: str) -> None:
        node = self._find(path)
        if node is not None:
            self._hide_lower(node)

    def finish_layer(self) -> None:
        self._layer += 1

    def finish(self) -> None:
        """Write the inodes, the directories and the superblock. Raises `OSError`."""
        nodes = list(self._reached())
        size = 0
        for node in nodes:
            size = _place(node, size)
        inodes = bytearray(-(-size // BLOCK) * BLOCK)
        meta = self._next
        following = meta + len(inodes) // BLOCK
        tails = []
        for number, node in enumerate(nodes, 1):
            data = _directory(node) if node.is_directory else node.target
            if node.is_directory:
                node.size = _directory_size(node)
            layout = PLAIN
            if data and _is_inline(node):
                layout = INLINE
            elif data:
                node.start = following
                tails.append(data.ljust(-(-len(data) // BLOCK) * BLOCK, b"\0"))
                following += len(tails[-1]) // BLOCK
            content = _inode(node, number, layout)
            if layout == INLINE:
                content += data
            inodes[node.position : node.position + len(content)] = content
        self._file.write(inodes)
        for tail in tails:
            self._file.write(tail)
        self._file.seek(SUPERBLOCK_OFFSET)
        root = self._root.position // SLOT
        self._file.write(_superblock(root, len(nodes), following, meta))
        self._file.flush()

    def _put(self, path: str, type: int, attributes: Attributes) -> _Node:
        parent, name = self._parent_of(path)
        node = _Node(type, attributes, self._layer)
        parent.children[name] = node
        return node

    def _parent_of(self, path: str) -> tuple[_Node, bytes]:
        """Return the directory around `path`, made if need be, and the last name."""
        node = self._root
        *around, last = (os.fsencode(part) for part in path.split("/"))
        for name in around:
            following = node.children.get(name)
            if following is None or not following.is_directory:
                if following is not None and following.layer == self._layer:
                    raise ImageError(f"{name!r:.200} in {path!r:.200}: no directory")
                following = _Node(stat.S_IFDIR, Attributes(), self._layer)
                node.children[name] = following
            following.layer = self._layer
            node = following
        return node, last

    def _find(self, path: str) -> _Node | None:
        node: _Node | None = self._root
        for part in path.split("/") if path else ():
            node = node.children.get(os.fsencode(part)) if node else None
        return node

    def _hide_lower(self, node: _Node) -> None:
        for name, child in list(node.children.items()):
            if child.layer < self._layer:
                del node.children[name]
            elif child.is_directory:
                self._hide_lower(child)

    def _reached(self) -> Iterator[_Node]:
        """Yield every node once, the root first; count its names."""
        self._root.parent = self._root
        self._root.links = 2
        found = [self._root]
        while found:
            node = found.pop()
            yield node
            for child in node.children.values():
                child.links += 1
                if child.is_directory:
                    child.parent = node
                    child.links += 1
                    node.links += 1
                if child.links == 1 or child.is_directory:
                    found.append(child)


def _place(node: _Node, end: int) -> int:
    """Choose the inode's position after `end`; return its own end."""
    size = _head_size(node)
    if _is_inline(node):
        size += _data_size(node)
    # Inline data is in one block.
    start = -(-max(end, SLOT) // SLOT) * SLOT
    if size <= BLOCK and start // BLOCK != (start + size - 1) // BLOCK:
        start = -(-start // BLOCK) * BLOCK
    node.position = start
    return start + size


def _head_size(node: _Node) -> int:
    return INODE.size + len(_xattrs(node.attributes.xattrs))


def _data_size(node: _Node) -> int:
    return _directory_size(node) if node.is_directory else len(node.target)


def _is_inline(node: _Node) -> bool:
    return 0 < _data_size(node) <= BLOCK - _head_size(node)


def _inode(node: _Node, number: int, layout: int) -> bytes:
    attributes = node.attributes
    seconds, nanoseconds = divmod(attributes.mtime_ns, 10**9)
    xattrs = _xattrs(attributes.xattrs)
    head = INODE.pack(
        EXTENDED | layout,
        (len(xattrs) - XATTR_HEADER) // 4 + 1 if xattrs else 0,
        node.type | attributes.mode,
        0,
        node.size,
        node.start if layout == PLAIN else 0,
        number,
        attributes.uid,
        attributes.gid,
        seconds,
        nanoseconds,
        node.links,
    )
    return head + xattrs


def _xattrs(values: Mapping[str, bytes]) -> bytes:
    if not values:
        return b""
    content = bytearray(XATTR_HEADER)
    for text, value in sorted(values.items()):
        name = os.fsencode(text)
        prefix, index = next(pair for pair in _PREFIXES if name.startswith(pair[0]))
        rest = name.removeprefix(prefix)
        content += XATTR.pack(len(rest), index, len(value)) + rest + value
        content += bytes(-len(content) % 4)
    return bytes(content)


def _names(node: _Node) -> list[tuple[bytes, _Node]]:
    parent = node.parent or node
    return sorted([(b".", node), (b"..", parent), *node.children.items()], key=_by_name)


def _by_name(pair: tuple[bytes, _Node]) -> bytes:
    return pair[0]


def _blocks(node: _Node) -> Iterator[list[tuple[bytes, _Node]]]:
    """Yield the entries of each block of a directory, sorted as the kernel looks."""
    block: list[tuple[bytes, _Node]] = []
    size = 0
    for name, child in _names(node):
        if size + DIRENT.size + len(name) > BLOCK:
            yield block
            block, size = [], 0
        block.append((name, child))
        size += DIRENT.size + len(name)
    yield block


def _directory_size(node: _Node) -> int:
    sizes = [
        sum(DIRENT.size + len(name) for name, _ in block) for block in _blocks(node)
    ]
    return (len(sizes) - 1) * BLOCK + sizes[-1]


def _directory(node: _Node) -> bytes:
    content = bytearray()
    for block in _blocks(node):
        content += bytes(-len(content) % BLOCK)
        offset = DIRENT.size * len(block)
        for name, child in block:
            content += DIRENT.pack(child.position // SLOT, offset, _TYPES[child.type])
            offset += len(name)
        content += b"".join(name for name, _ in block)
    return bytes(content)


def _superblock(root: int, inodes: int, blocks: int, meta: int) -> bytes:
    return SUPERBLOCK.pack(
        MAGIC,
        0,
        COMPAT_MTIME,
        BLOCK.bit_length() - 1,
        0,
        root,
        inodes,
        0,
        0,
        blocks,
        meta,
        0,
        bytes(16),
        b"",
        0,
    )
