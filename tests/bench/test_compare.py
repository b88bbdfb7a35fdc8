# SPDX-License-Identifier: Apache-2.0
"""Two revisions of a small repository, and this one."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from bench import compare, document
from tests.helpers.namespace import require_root

BENCHMARK = """\
import sys
from pathlib import Path
import product

log = Path(sys.argv[1])
with log.open("a") as file:
    file.write(product.NAME + "\\n")
count = len(log.read_text().splitlines())
print("### Speed\\n")
print("| what | measured | limit |\\n|---|---|---|")
print(f"| calls | {product.SPEED + count:,} /s, {product.SPEED / 100} of all | 9 |")
print("| left | 0 | 0 |")
sys.exit(product.STATUS)
"""


def git(tree: Path, *words: str) -> None:
    identity = ["-c", "user.name=a", "-c", "user.email=a@b.c", "-c", "gc.auto=0"]
    subprocess.run(["git", "-C", tree, *identity, *words], check=True)


def commit(tree: Path, name: str, speed: int, status: int = 0) -> None:
    (tree / "src" / "product.py").write_text(
        f"NAME = {name!r}\nSPEED = {speed}\nSTATUS = {status}\n"
    )
    git(tree, "add", ".")
    git(tree, "commit", "-qm", name)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """Two commits, the first one tagged `before`; the second ends over a limit."""
    tree = tmp_path / "repository"
    for folder in ("src", "bench", "tests"):
        (tree / folder).mkdir(parents=True)
    (tree / "bench" / "__init__.py").touch()
    (tree / "bench" / "speed.py").write_text(BENCHMARK)
    (tree / "tests" / "kept").touch()
    git(tree, "init", "-q")
    commit(tree, "old", 1000)
    git(tree, "tag", "before")
    commit(tree, "new", 2000, status=1)
    return tree


def test_two_revisions_take_turns_and_are_compared(
    repository: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = tmp_path / "log"
    words = ["--rounds", "3", "before", "speed", str(log)]
    assert compare.main(words, root=repository) == 0
    # Each round in the other order.
    assert log.read_text().split() == ["old", "new", "new", "old", "old", "new"]
    first, table = capsys.readouterr().out.split("\n\n")
    assert first.startswith(f"`bench.speed {log}`: medians of 3 runs of each, in turn;")
    # Runs 1, 4 and 5 were old, 2, 3 and 6 new; limits are no figures.
    assert table.splitlines() == [
        "| | old | new | new/old |",
        "|---|---|---|---|",
        "| calls, measured, /s | 1,004 | 2,003 | 2.00 |",
        "| calls, measured, of all | 10.0 | 20.0 | 2.00 |",
    ]
    left = subprocess.run(
        ["git", "-C", repository, "worktree", "list"], stdout=subprocess.PIPE, text=True
    )
    assert len(left.stdout.splitlines()) == 1


def test_one_benchmark_can_measure_both(
    repository: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    changed = BENCHMARK.replace("| calls |", "| all calls |")
    (repository / "bench" / "speed.py").write_text(changed)
    words = ["--rounds", "1", "before", "speed", str(tmp_path / "log")]
    assert compare.main(words, root=repository) == 0
    assert "calls" not in capsys.readouterr().out.partition("\n\n")[2]
    assert compare.main(["--this-bench", *words], root=repository) == 0
    first, table = capsys.readouterr().out.split("\n\n")
    assert first.endswith("with changes.")
    assert "| all calls, measured, of all | 10.0 | 20.0 | 2.00 |" in table


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["nothing", "speed"], "revision 'nothing': no such commit"),
        # The benchmark asks for an argument.
        (["before", "speed"], "no table, status 1"),
    ],
)
def test_what_cannot_be_compared_is_an_error(
    repository: Path,
    words: list[str],
    expected: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert compare.main(words, root=repository) == 1
    assert expected in capsys.readouterr().err


def test_a_comparison_is_kept_in_its_section(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = tmp_path / "README.md"
    page.write_text("<!-- compare-speed: written -->\n\n<!-- /compare-speed -->\n")
    monkeypatch.setattr(document, "README", page)
    monkeypatch.setattr(document, "CHARTS", tmp_path / "charts")
    words = ["--rounds", "1", "--write", "before", "speed", str(tmp_path / "log")]
    assert compare.main(words, root=repository) == 0
    kept = document.section(page, "compare-speed")
    assert "| calls, measured, /s | 1,001 | 2,002 | 2.00 |" in kept


@pytest.mark.slow
@pytest.mark.root
def test_a_benchmark_of_this_repository_runs_in_both_trees() -> None:
    require_root()
    root = compare.ROOT
    if not (root / ".git").exists() or shutil.which("git") is None:
        pytest.skip("needs a clone")
    command = [sys.executable, "-m", "bench.compare", "--rounds", "1", "HEAD", "stdio"]
    done = subprocess.run(
        [*command, "--size", "1", "--execs", "1", "--rounds", "1"],
        cwd=root,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "| stdout, stream port, MiB/s |" in done.stdout, done.stdout
