# SPDX-License-Identifier: Apache-2.0
"""The documentation's programs run, and its links and names lead somewhere."""

from __future__ import annotations

import itertools
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from bench.document import COMPARED, COMPARISON, README, section
from kata_agent.options.table import FLAGS, OPTIONS, WITHOUT_EFFECT
from kata_host.ctl.program import make_parser
from tests.helpers.documented_names import is_missing, names
from tests.helpers.interop import require_go
from tests.helpers.namespace import require_root
from tests.helpers.page_programs import BLOCK, check_commands, has_programs, write_files
from tests.helpers.source_tree import ROOT

TTRPC: Final = ROOT / "docs" / "ttrpc"
GO: Final = TTRPC / "how-to" / "go.md"
PROGRAMS: Final = sorted(
    page.relative_to(TTRPC)
    for page in TTRPC.rglob("*.md")
    if has_programs(page) and page != GO
)
LINK: Final = re.compile(r"\]\(([^)#]+)[^)]*\)")
PAGES: Final = sorted(
    path.relative_to(ROOT)
    for path in (
        *ROOT.glob("*.md"),
        *ROOT.glob("docs/**/*.md"),
        *ROOT.glob("*/README.md"),
        ROOT / "tests" / "conformance" / "README.md",
    )
)


@pytest.mark.parametrize(
    "page", sorted(it.relative_to(TTRPC) for it in TTRPC.rglob("*.md")), ids=str
)
def test_the_pages_on_ttrpc_have_no_program_that_is_not_run(page: Path) -> None:
    """An indented block is not run, so it holds nothing but commands of set-up."""
    text = BLOCK.sub("", (TTRPC / page).read_text())
    first_words = re.findall(r"\n\n {4}(\S+)", text)
    assert {*first_words} <= {"make", "pip", "python3", "socat"}


@pytest.fixture(scope="module")
def tutorial(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that the tutorial makes: its files, and the stubs of its service."""
    folder = tmp_path_factory.mktemp("tutorial")
    write_files(TTRPC / "tutorial.md", folder)
    plugin = Path(sys.executable).parent / "protoc-gen-pyttrpc"
    command = f"-m grpc_tools.protoc -I. --plugin={plugin} echo.proto"
    outputs = ("--python_out=.", "--pyi_out=.", "--pyttrpc_out=.")
    subprocess.run([sys.executable, *command.split(), *outputs], cwd=folder, check=True)
    return folder


@pytest.mark.parametrize("page", PROGRAMS, ids=str)
def test_the_programs_of_the_pages_on_ttrpc_run(
    tmp_path: Path, tutorial: Path, page: Path
) -> None:
    """Take the page's files as they are; its commands print the lines shown."""
    if page.parts[0] == "how-to":
        shutil.copytree(tutorial, tmp_path, dirs_exist_ok=True)
    write_files(TTRPC / page, tmp_path)
    check_commands(TTRPC / page, tmp_path)


@pytest.mark.interop
@pytest.mark.slow
def test_the_program_in_go_calls_a_python_server(
    tmp_path: Path, tutorial: Path
) -> None:
    require_go()
    shutil.copytree(tutorial, tmp_path, dirs_exist_ok=True)
    write_files(GO, tmp_path)
    subprocess.run(
        ["go", "build", "-o", tmp_path / "client", tmp_path / "client.go"],
        cwd=ROOT / "tests" / "interop",
        check=True,
    )
    check_commands(GO, tmp_path)


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_links_within_the_repository_lead_somewhere(page: Path) -> None:
    links = LINK.findall((ROOT / page).read_text())
    dead = [
        link
        for link in links
        if "://" not in link and not (ROOT / page.parent / link).exists()
    ]
    assert not dead


# The changelog names things that are gone.
@pytest.mark.parametrize(
    "page", [it for it in PAGES if it.stem != "CHANGELOG"], ids=str
)
def test_names_in_the_documentation_are_those_of_the_tree(page: Path) -> None:
    missing = [name for name in names(ROOT / page) if is_missing(name)]
    assert not missing


@pytest.mark.parametrize(
    "name",
    [
        "agent/nowhere.py",
        "agent/reaper.py:Reaper.nothing",
        "agent/nowhere.py:Reaper",
        "kata_agent.nowhere",
        "ttrpc.aio.Nothing",
    ],
)
def test_a_name_that_is_not_in_the_tree_is_seen(name: str) -> None:
    assert is_missing(name)


def test_the_state_machines_are_drawn_from_the_code() -> None:
    made = subprocess.run(
        [sys.executable, "-c", "import states; print(states.page(), end='')"],
        cwd=ROOT / "docs" / "tools",
        capture_output=True,
        text=True,
        check=True,
    )
    shown = (ROOT / "docs" / "states.md").read_text()
    assert shown == made.stdout, "run `python docs/tools/states.py`"


def test_the_reference_of_ttrpc_is_made_from_its_docstrings() -> None:
    program = "import reference as it; print(*map(it.page, it.PAGES), sep='', end='')"
    made = subprocess.run(
        [sys.executable, "-c", f"{program}; print(*it.PAGES, end='')"],
        cwd=ROOT / "docs" / "tools",
        capture_output=True,
        text=True,
        check=True,
    )
    pages, _, names = made.stdout.rpartition("\n")
    shown = [(TTRPC / "reference" / name).read_text() for name in names.split()]
    assert "".join(shown) == f"{pages}\n", "run `make docs-reference`"
    assert {it.name for it in (TTRPC / "reference").iterdir()} == {*names.split()}


@pytest.mark.parametrize("name", COMPARED)
def test_the_comparison_of_ttrpc_has_the_figures_of_the_benchmarks(name: str) -> None:
    shown, measured = section(COMPARISON, name), section(README, name)
    assert shown == measured, "run `python -m bench.document`"


@pytest.mark.slow
def test_the_site_builds_and_loads_nothing_from_elsewhere(tmp_path: Path) -> None:
    if shutil.which("dot") is None:
        missing = "needs dot, of Debian's graphviz"
        pytest.fail(missing) if os.environ.get("CI") else pytest.skip(missing)
    result = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", tmp_path],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr
    pages = list(tmp_path.rglob("*.html"))
    assert len(pages) > 20
    loaded = re.compile(r"<(?:script|link|img|iframe)[^>]*(?:src|href)=.?https?://")
    assert not [page for page in pages if loaded.search(page.read_text())]


@pytest.mark.root
def test_the_program_in_the_readme_runs(tmp_path: Path) -> None:
    require_root()
    readme = (ROOT / "README.md").read_text()
    (program,) = [text for language, text in BLOCK.findall(readme)]
    (tmp_path / "program.py").write_text(program)
    result = subprocess.run(
        [sys.executable, "program.py"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert not result.stderr
    assert result.stdout == "0 hello\n"
    assert "The program prints `0 hello`." in readme


@pytest.mark.root
def test_the_programs_of_the_page_on_the_sdk_run(tmp_path: Path) -> None:
    """Each is followed by a block with the lines that it prints."""
    require_root()
    blocks = BLOCK.findall((ROOT / "docs" / "sdk.md").read_text())
    programs = [text for language, text in blocks if language == "python"]
    outputs = [text for language, text in blocks if language == "text"]
    for program, output in zip(programs, outputs, strict=True):
        (tmp_path / "program.py").write_text(program)
        result = subprocess.run(
            [sys.executable, "program.py"],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=100,
        )
        assert (result.stdout, result.stderr) == (output, "")


@pytest.mark.root
def test_the_fixture_for_tests_with_a_guest_works(tmp_path: Path) -> None:
    require_root()
    page = (ROOT / "docs" / "how-to" / "test-with-a-guest.md").read_text()
    (program,) = [text for language, text in BLOCK.findall(page)]
    (tmp_path / "test_program.py").write_text(program)
    result = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert result.returncode == 0, result.stdout + result.stderr


COMMAND: Final = re.compile(r"^ {4,}.*?(kata-agent-ctl (?!:).*)$", re.M)
COMMANDS: Final = sorted(
    {
        command
        for page in PAGES
        for command in COMMAND.findall((ROOT / page).read_text())
    }
)


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_in_the_documentation_is_one(command: str) -> None:
    shell = shlex.shlex(command, posix=True, punctuation_chars=True)
    shell.whitespace_split = True
    words = list(itertools.takewhile(lambda word: word not in (";", "|"), shell))
    if words[-1] == "--help":
        words.pop()
        words += ["--", "true"]
    assert make_parser().parse_args(words[1:])


def test_every_kernel_option_is_in_the_readme() -> None:
    readme = (ROOT / "README.md").read_text()
    section = readme.partition("\n## Options\n")[2].partition("\n## ")[0]
    options = {*OPTIONS, *FLAGS, *WITHOUT_EFFECT}
    assert not [name for name in options if not re.search(f"`{name}[=[`]", section)]
