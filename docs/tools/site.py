# SPDX-License-Identifier: Apache-2.0
"""Hooks of mkdocs: pages from outside of docs/, links between them, diagrams as SVG."""

from __future__ import annotations

import html
import posixpath
import re
import subprocess
from pathlib import Path
from typing import Final

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT: Final = Path(__file__).parents[2]
PAGES: Final = {
    "README.md": "readme.md",
    "ARCHITECTURE.md": "architecture.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "security.md",
    "TRACING.md": "tracing.md",
    "bench/README.md": "benchmarks.md",
    "examples/README.md": "examples.md",
    "examples/containerd/README.md": "examples-containerd.md",
    "examples/nri/README.md": "examples-nri.md",
    "tests/conformance/README.md": "conformance.md",
}
"""Files of the repository and their pages in the site."""
SOURCES: Final = {page: source for source, page in PAGES.items()}
LANGUAGES: Final = {".py": "python", ".proto": "proto"}

_LINK: Final = re.compile(r"\[([^]\n]+(?:\n[^]\n]+)?)\]\(([^)#\s]*)(#[^)\s]*)?\)")
_MERMAID: Final = re.compile(r"^```mermaid\n(.*?)^```$", re.M | re.S)
_ARROW: Final = re.compile(r"(\S+) --> ([^\s:]+)(?:: (.*))?")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages from outside of docs/, and the sources of the examples."""
    for source, page in PAGES.items():
        files.append(File.generated(config, page, content=(ROOT / source).read_text()))
    return files


def on_page_markdown(
    markdown: str, page: Page, config: MkDocsConfig, files: Files
) -> str:
    """Point links at pages of the site, and draw the diagrams."""
    name = page.file.src_uri
    source = SOURCES.get(name, f"docs/{name}")
    if source == "examples/README.md":
        markdown += "".join(map(listing, example_files(markdown)))
    folder = posixpath.dirname(source)

    def relink(match: re.Match[str]) -> str:
        text, target, anchor = match[1], match[2], match[3] or ""
        if not target or "://" in target:
            return match[0]
        path = posixpath.normpath(posixpath.join(folder, target))
        if path.startswith("examples/") and path not in PAGES:
            listed = posixpath.relpath("examples.md", posixpath.dirname(name))
            page_of_it = "" if name == "examples.md" else listed
            return f"[{text}]({page_of_it}#{anchor_of(Path(path).name)})"
        if path in PAGES:
            found = PAGES[path]
        elif path.startswith("docs/") and path.endswith((".md", ".svg")):
            found = path.removeprefix("docs/")
        else:
            # A file of the source tree, which the site does not have.
            return text
        return f"[{text}]({posixpath.relpath(found, posixpath.dirname(name))}{anchor})"

    return _MERMAID.sub(draw, _LINK.sub(relink, markdown))


def example_files(page: str) -> list[Path]:
    """Return the examples that were written by hand, as `page` has them in order."""
    examples = ROOT / "examples"
    found = [*examples.glob("*.py"), *examples.glob("*/*.p*")]
    written = [it for it in found if not it.stem.endswith(("_pb2", "_ttrpc"))]
    return sorted(written, key=lambda path: (page.find(path.name), str(path)))


def listing(path: Path) -> str:
    """Return a section with the text of an example."""
    lines = path.read_text().splitlines()
    if "SPDX" in lines[0]:
        del lines[0]
    code = "\n".join(lines)
    return (
        f"\n## {path.relative_to(ROOT / 'examples')} {{ #{anchor_of(path.name)} }}\n\n"
        f"```{LANGUAGES[path.suffix]}\n{code}\n```\n"
    )


def anchor_of(name: str) -> str:
    """Return the anchor of an example in its page."""
    return re.sub(r"\W", "-", name)


def draw(match: re.Match[str]) -> str:
    """Return a state diagram as SVG, so that browsers need no program to draw it."""
    lines = [
        "digraph {",
        'graph [bgcolor=transparent ranksep=0.45 nodesep=0.5 tooltip=" "]',
        "node [shape=box style=rounded fontsize=12 margin=0.18]",
        "edge [fontsize=11 arrowsize=0.7]",
        '"[*]" [shape=circle style=filled label="" width=0.14]',
    ]
    if "--> [*]" in match[1]:
        lines.append('end [shape=doublecircle style=filled label="" width=0.1]')
    for line in match[1].splitlines():
        if arrow := _ARROW.fullmatch(line.strip()):
            before, after, label = arrow[1], arrow[2], arrow[3] or ""
            after = "end" if after == "[*]" else after
            text = label.replace(", ", "\\n")
            lines.append(f'"{before}" -> "{after}" [label="  {text}  "]')
    lines.append("}")
    try:
        drawn = subprocess.run(
            ["dot", "-Tsvg"],
            input="\n".join(lines),
            capture_output=True,
            text=True,
            check=True,
        ).stdout
    except FileNotFoundError:
        raise PluginError("diagrams: no program dot, install graphviz") from None
    svg = drawn[drawn.index("<svg") :].strip()
    svg = re.sub(r"<!--.*?-->\n?|<title>.*?</title>\n?", "", svg, flags=re.S)
    svg = svg.replace('"black"', '"currentColor"').replace("\n", " ")
    label = html.escape(f"State diagram: {match[1].strip()}", quote=True)
    label = re.sub(r"\s+", " ", label)
    return f'<div class="diagram" role="img" aria-label="{label}">{svg}</div>'
