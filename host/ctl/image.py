# SPDX-License-Identifier: Apache-2.0
"""`kata-agent-ctl image`: the images that containers are made from."""

from __future__ import annotations

import argparse
import contextlib
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

from kata_host.ctl.command_parser import text
from kata_host.ctl.errors import CommandError
from kata_host.ctl.patience import saying

if TYPE_CHECKING:
    from kata_host.ctl.program import Subparsers
    from kata_host.image.container_image import ContainerImage


def add_parser(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser(
        "image",
        help="keep images of containers: import, list, inspect and remove them",
        description="Keep images of containers on this host, for all guests. The store "
        "is /var/lib/kata-agent/store for root, $XDG_DATA_HOME/kata-agent/store for "
        "other users, and $KATA_IMAGE_STORE where that is set.",
        epilog="Example, for what `docker save` wrote:\n\n"
        "  kata-agent-ctl image import python.tar.gz\n"
        "  kata-agent-ctl image ls\n"
        "  kata-agent-ctl image rm python:3",
    )
    verbs = parser.add_subparsers(title="verbs", metavar="VERB", required=True)
    verb = verbs.add_parser(
        "import",
        help="keep a saved image, or one of a registry",
        description="Keep an image: what docker save, skopeo or umoci wrote, as a file "
        "(plain, gzip or zstd) or a directory; or a reference such as debian:13, which "
        "skopeo fetches from its registry. Prints the image's name.",
        epilog="Example:\n\n  kata-agent-ctl image import python.tar.gz python:mine",
    )
    verb.add_argument(
        "source",
        type=text,
        metavar="FILE|DIR|REFERENCE",
        help="the saved image, or its name in a registry",
    )
    verb.add_argument(
        "name",
        type=text,
        nargs="?",
        metavar="NAME",
        help="the image's name (default: the one that it was saved by)",
    )
    verb.add_argument(
        "--select",
        type=text,
        metavar="REFERENCE",
        help="which of several images in the file",
    )
    verb.set_defaults(main=import_image)
    verb = verbs.add_parser(
        "ls",
        help="list the images",
        description="List the images, sorted by name, with the size of their files.",
        epilog="Example:\n\n  kata-agent-ctl image ls --format json",
    )
    verb.add_argument(
        "--format",
        choices=("table", "json"),
        default="table",
        help="a table, or one JSON object a line (default: %(default)s)",
    )
    verb.add_argument(
        "-q", "--quiet", action="store_true", help="print the names alone"
    )
    verb.set_defaults(main=list_images)
    verb = verbs.add_parser(
        "inspect",
        help="print what an image says of itself",
        description="Print an image's names, size and configuration as JSON.",
        epilog="Example:\n\n  kata-agent-ctl image inspect python:3",
    )
    verb.add_argument("image", type=text, metavar="IMAGE", help="a name or an id")
    verb.set_defaults(main=inspect)
    verb = verbs.add_parser(
        "rm",
        help="remove images",
        description="Take names away, and with its last name an image, with all layers "
        "that no other image has. An image that a container uses stays.",
        epilog="Example:\n\n  kata-agent-ctl image rm python:3 debian",
    )
    verb.add_argument(
        "images", type=text, nargs="+", metavar="IMAGE", help="a name or an id"
    )
    verb.set_defaults(main=remove)


def import_image(options: argparse.Namespace) -> int:
    from pathlib import Path

    from kata_host.image.archive import is_archive
    from kata_host.image.image_store import ImageStore

    with image_errors_as_command_errors():
        store = ImageStore.open()
        path = Path(options.source)
        if path.exists() and (path.is_file() or is_archive(path)):
            with saying(f"reading the image '{path}'"):
                image = store.add(path, options.name, select=options.select)
        elif options.source.startswith((".", "/")) or options.select:
            raise CommandError(f"image '{path}': no such file, or not a saved image")
        else:
            with saying(f"skopeo is fetching the image '{options.source}'"):
                image = store.pull(options.source, options.name)
    print(image.name)
    return 0


def list_images(options: argparse.Namespace) -> int:
    from kata_host.image.image_store import ImageStore

    with image_errors_as_command_errors():
        images = ImageStore.open().images()
    if options.quiet:
        for image in images:
            for name in image.names:
                print(name)
        return 0
    if options.format == "json":
        for image in images:
            _print_json(_summary(image))
        return 0
    rows = [("NAME", "ID", "SIZE")]
    for image in images:
        for name in image.names:
            rows.append((name, image.id[7:19], _size(image.size)))
    width = max(len(row[0]) for row in rows)
    for name, id, size in rows:
        print(f"{name:{width}}  {id:12}  {size}")
    return 0


def inspect(options: argparse.Namespace) -> int:
    from dataclasses import asdict

    from kata_host.image.image_store import ImageStore

    with image_errors_as_command_errors():
        image = ImageStore.open().find(options.image)
    _print_json({**_summary(image), "config": asdict(image.config)}, indent=2)
    return 0


def remove(options: argparse.Namespace) -> int:
    from kata_host.ctl.errors import guest_errors_as_command_errors
    from kata_host.image.image_store import ImageStore
    from kata_host.keeper.leftovers import remove_leftovers

    with guest_errors_as_command_errors(), image_errors_as_command_errors():
        # Containers whose guest was killed use no image any more.
        remove_leftovers()
        store = ImageStore.open()
        for name in options.images:
            store.remove(name)
            print(name)
    return 0


@contextlib.contextmanager
def image_errors_as_command_errors() -> Iterator[None]:
    """Raise an `ImageError` of the block as a `CommandError`."""
    from kata_host.image.errors import ImageError

    try:
        yield
    except ImageError as error:
        raise CommandError(str(error)) from error


def _summary(image: ContainerImage) -> dict[str, object]:
    return {
        "id": image.id,
        "names": list(image.names),
        "size": image.size,
        "imported": image.imported,
    }


def _print_json(value: object, indent: int | None = None) -> None:
    import json

    json.dump(value, sys.stdout, indent=indent)
    print()


def _size(size: int) -> str:
    """Return a size as people read it: `12.3 MB`."""
    number = float(size)
    for unit in ("B", "kB", "MB"):
        if number < 1000:
            return f"{number:.3g} {unit}"
        number /= 1000
    return f"{number:.3g} GB"
