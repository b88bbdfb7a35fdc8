# SPDX-License-Identifier: Apache-2.0
"""Any benchmark of two revisions: an old one, and this tree as it is.

    python -m bench.compare [--rounds N] [--write] REV BENCHMARK [ARG ...]
    python -m bench.compare v1 stdio --size 64 --execs 0 --rounds 1

`REV` is checked out into a temporary folder. `python -m bench.BENCHMARK ARG ...` runs
in both trees in turn, by the same interpreter with the same packages, each round in the
other order, and each number of the tables that it prints is compared: the medians, and
the median of the rounds' ratios, because other work of the machine then slows both.

Each tree has its own benchmark. `--this-bench` runs the benchmark of this tree against
the programs of both, for a benchmark that has changed. `--write` puts the table into
the section `compare-BENCHMARK` of bench/README.md.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from bench.document import replace_section
from bench.tables import Figure, figures_of, read_tables

ROOT: Final = Path(__file__).parents[1]
ROUNDS: Final = 5
MEASURING: Final = ("bench", "tests")
"""The folders that measure: benchmarks, and the peers that tests share with them."""

Figures = dict[tuple[str, ...], Figure]
"""The numbers of one run. A number's name: the table's title, the row's name, the
column's header, and the unit."""


@dataclass(slots=True)
class Pair:
    """One number in both trees, with a value for each round that had it in both."""

    old: list[Figure] = field(default_factory=list)
    new: list[Figure] = field(default_factory=list)

    @property
    def varies(self) -> bool:
        """Whether it was measured: limits and sizes are the same in every run."""
        return len({figure.text for figure in [*self.old, *self.new]}) > 1

    @property
    def ratio(self) -> float | None:
        """The median of new to old; None if an old one is 0."""
        values = zip(self.old, self.new, strict=True)
        pairs = [(old.value, new.value) for old, new in values]
        if not all(old for old, _ in pairs):
            return None
        return statistics.median(new / old for old, new in pairs)


@contextlib.contextmanager
def checked_out(root: Path, revision: str) -> Iterator[Path]:
    """Check out a revision of the repository at `root` for the `with` block.

    Raises `ValueError` if there is no such revision.
    """
    with tempfile.TemporaryDirectory(prefix="bench-compare-") as name:
        tree = Path(name) / "tree"
        commit = commit_of(root, revision)
        _git(root, "worktree", "add", "--quiet", "--detach", os.fspath(tree), commit)
        try:
            yield tree
        finally:
            _git(root, "worktree", "remove", "--force", os.fspath(tree))


def commit_of(root: Path, revision: str) -> str:
    """Return the id of a revision's commit. Raises `ValueError` if there is none."""
    try:
        return _git(root, "rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}")
    except subprocess.CalledProcessError:
        raise ValueError(f"revision {revision!r}: no such commit") from None


def compare(
    old: Path, new: Path, benchmark: str, arguments: Sequence[str], rounds: int
) -> dict[tuple[str, ...], Pair]:
    """Run a benchmark in two trees in turn; return the numbers that both have.

    Raises `RuntimeError` if it prints no table in one of them.
    """
    pairs: dict[tuple[str, ...], Pair] = {}
    for number in range(rounds):
        found: dict[Path, Figures] = {}
        for tree in (old, new) if number % 2 == 0 else (new, old):
            found[tree] = figures(run(tree, benchmark, arguments))
        for name in found[old].keys() & found[new].keys():
            pair = pairs.setdefault(name, Pair())
            pair.old.append(found[old][name])
            pair.new.append(found[new][name])
        # In the order of the new tables.
        pairs = {name: pairs[name] for name in found[new] if name in pairs}
    return pairs


def run(tree: Path, benchmark: str, arguments: Sequence[str]) -> str:
    """Return what a tree's benchmark prints. Raises `RuntimeError` without a table."""
    command = [sys.executable, "-m", f"bench.{benchmark}", *arguments]
    # Before the packages of the environment, which may be of any tree.
    paths = os.pathsep.join(os.fspath(path) for path in (tree / "src", tree))
    environment = {**os.environ, "PYTHONPATH": paths}
    done = subprocess.run(
        command, cwd=tree, env=environment, stdout=subprocess.PIPE, text=True
    )
    # A benchmark that is over a limit fails too, after its table.
    if not read_tables(done.stdout):
        raise RuntimeError(
            f"benchmark {benchmark!r} in {tree}: no table, status {done.returncode}"
        )
    return done.stdout


def figures(text: str) -> Figures:
    """Return the numbers of all tables in a text."""
    found: Figures = {}
    for table in read_tables(text):
        width = table.name_width
        for row in table.rows:
            name = " ".join(filter(None, row[:width]))
            for header, cell in zip(table.header[width:], row[width:], strict=True):
                for figure in figures_of(cell):
                    found[table.title, name, header, figure.unit] = figure
    return found


def table(pairs: dict[tuple[str, ...], Pair]) -> str:
    """Return the medians of what varies, and the ratios."""
    lines = ["| | old | new | new/old |", "|---|---|---|---|"]
    titles = {title for title, *_ in pairs}
    for (title, *words), pair in pairs.items():
        if not pair.varies:
            continue
        shown = [title, *words] if len(titles) > 1 else words
        ratio = "" if pair.ratio is None else f"{pair.ratio:.2f}"
        name = ", ".join(filter(None, shown))
        lines.append(f"| {name} | {median(pair.old)} | {median(pair.new)} | {ratio} |")
    return "\n".join(lines)


def median(values: Sequence[Figure]) -> str:
    """Return the median as a table had it: the lower of two in the middle."""
    return sorted(values, key=lambda figure: figure.value)[(len(values) - 1) // 2].text


def heading(root: Path, revision: str, command: str, rounds: int) -> str:
    """Return the sentence above the table."""
    commits = [commit_of(root, each)[:7] for each in (revision, "HEAD")]
    changed = " with changes" if _git(root, "status", "--porcelain") else ""
    return (
        f"`{command}`: medians of {rounds} runs of each, in turn; old is {commits[0]},"
        f" new is {commits[1]}{changed}."
    )


def main(words: Sequence[str] | None = None, root: Path = ROOT) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m bench.compare",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="runs of each tree")
    parser.add_argument("--write", action="store_true", help="update bench/README.md")
    parser.add_argument(
        "--this-bench", action="store_true", help="measure both by this benchmark"
    )
    parser.add_argument("revision", metavar="REV", help="a commit, branch or tag")
    parser.add_argument("benchmark", metavar="BENCHMARK", help="stdio, ttrpc, ...")
    parser.add_argument("arguments", metavar="ARG", nargs=argparse.REMAINDER)
    options = parser.parse_args(words)
    if options.rounds < 1:
        parser.error("--rounds: at least 1")
    try:
        with checked_out(root, options.revision) as old:
            if options.this_bench:
                for folder in MEASURING:
                    shutil.rmtree(old / folder, ignore_errors=True)
                    shutil.copytree(root / folder, old / folder, symlinks=True)
            pairs = compare(
                old, root, options.benchmark, options.arguments, options.rounds
            )
    except (ValueError, RuntimeError) as error:
        print(f"bench.compare: {error}", file=sys.stderr)
        return 1
    command = " ".join(["bench." + options.benchmark, *options.arguments])
    first = heading(root, options.revision, command, options.rounds)
    text = f"{first}\n\n{table(pairs)}"
    print(text)
    if options.write:
        replace_section(f"compare-{options.benchmark}", text)
    return 0


def _git(root: Path, *words: str) -> str:
    done = subprocess.run(
        ["git", "-C", os.fspath(root), *words],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    return done.stdout.strip()


if __name__ == "__main__":
    sys.exit(main())
