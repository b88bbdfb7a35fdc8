# SPDX-License-Identifier: Apache-2.0
"""Completion for bash, zsh and fish, from a program's parser, by shtab.

Names of guests, containers, images and methods are asked of `kata-agent-ctl` while a
person types. The parsers do not know of this: what an argument is, says its metavar.
"""

from __future__ import annotations

import argparse
import re
from pathlib import Path
from typing import Final

import shtab
from commands import commands

ASKED: Final = {
    "guests": "kata-agent-ctl guest list -q",
    "containers": "kata-agent-ctl ps -aq",
    "containers_guests": "kata-agent-ctl ps -aq; kata-agent-ctl guest list -q",
    "images": "kata-agent-ctl image ls -q",
    "images_files": "kata-agent-ctl image ls -q",
    "methods": "kata-agent-ctl call list",
}
"""By the kind of word: the command that prints all of them."""
NAMED: Final = {
    ("", "GUEST"): "guests",
    ("guest stop", "NAME"): "guests",
    ("", "CONTAINER"): "containers",
    ("", "CONTAINER|GUEST"): "containers_guests",
    ("", "IMAGE"): "images",
    ("run", "NAME|TAR|DIR"): "images_files",
    ("call", "METHOD"): "methods",
}
"""By the command, or none for all commands, and the metavar: the kind of word."""
FILES: Final = {"FILE", "DIR|TAR", "FILE|DIR|REFERENCE", "SOURCE", "TARGET"}
"""Metavars of files of this host."""

PLACES: Final = {
    "bash": "share/bash-completion/completions/{program}",
    "zsh": "share/zsh/site-functions/_{program}",
    "fish": "share/fish/vendor_completions.d/{program}.fish",
}
"""By the shell: where it looks for a program's completion, below a prefix."""

BASH_WORDS: Final = r"""
# Hand the words to shtab's function as a person sees them: bash splits words at `:` and
# `=`, and shtab takes flags that are joined (-it) for an argument.
_@name@() {
  local line="${COMP_LINE:0:COMP_POINT}" word
  local -a typed words
  read -ra typed <<< "$line"
  [[ "$line" == *[[:space:]] ]] && typed+=("")
  local current="${typed[-1]}"
  unset 'typed[-1]'
  for word in "${typed[@]}"; do
    [[ "$word" =~ ^-[a-zA-Z0-9]{2,}$ || "$word" == --*=* ]] || words+=("$word")
  done
  if [[ "$current" == --*=* ]]; then
    words+=("${current%%=*}")
    current="${current#*=}"
  fi
  COMP_WORDS=("${words[@]}" "$current")
  COMP_CWORD=${#words[@]}
  _shtab_@name@
  # bash puts a reply in the place of what is behind the last colon.
  [[ "$current" == *:* ]] && COMPREPLY=("${COMPREPLY[@]#"${current%"${current##*:}"}"}")
  return 0
}
"""


def completion(parser: argparse.ArgumentParser, shell: str) -> str:
    """Return the script that a shell reads for the parser's program."""
    name = parser.prog.replace("-", "_")
    kinds = {}
    for command, each in commands(parser):
        for action in each._actions:
            metavar = str(action.metavar or action.dest)
            if kind := NAMED.get((command, metavar)) or NAMED.get(("", metavar)):
                kinds[kind] = _functions(f"_{name}_{kind}", kind)
                action.complete = {  # type: ignore[attr-defined]  # shtab reads it
                    "bash": f"_{name}_{kind}",
                    "zsh": f"_{name}_{kind}",
                    "fish": f"(_{name}_{kind})",
                }
            elif metavar in FILES:
                action.complete = shtab.FILE  # type: ignore[attr-defined]
    functions = "\n".join(each[shell] for _, each in sorted(kinds.items()))
    script = shtab.complete(parser, shell, preamble=functions)
    if shell == "zsh":
        script = "\n".join(map(_amend_zsh, script.splitlines()))
    if shell == "bash":
        head, _, registration = script.rpartition("\ncomplete ")
        registration = registration.replace(f"_shtab_{name}", f"_{name}")
        words = BASH_WORDS.replace("@name@", name)
        script = f"{head}\n{words}\ncomplete {registration}"
    return f"{script.rstrip()}\n"


def write_completions(parser: argparse.ArgumentParser, prefix: Path) -> None:
    """Write the scripts of a program into the folders of a prefix (/usr)."""
    for shell, place in PLACES.items():
        path = prefix / place.format(program=parser.prog)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(completion(parser, shell))


def _functions(name: str, kind: str) -> dict[str, str]:
    """Return, by the shell, a function that offers the words of a kind."""
    files = kind.endswith("_files")
    words = f"$({ASKED[kind]} 2>/dev/null)"
    return {
        "bash": f'{name}() {{\n  compgen -W "{words}" -- "$1"\n'
        + ('  compgen -f -- "$1"\n' if files else "")
        + "}",
        "zsh": f'{name}() {{\n  compadd -- ${{(f)"{words}"}}\n'
        + ("  _files\n" if files else "")
        + "}",
        "fish": f"function {name}\n  begin; {ASKED[kind]}; end 2>/dev/null\n"
        + ("  __fish_complete_path (commandline -ct)\n" if files else "")
        + "end",
    }


def _amend_zsh(line: str) -> str:
    """Have zsh complete `--guest=NAME` as `--guest NAME`, and each of CONTAINER..."""
    names, bracket, rest = line.replace('  "(*):', '  "*:').partition("[")
    if re.search(r"(?<!\\)\]:", rest):
        names = re.sub("--[a-z-]+", r"\g<0>=", names)
    return names + bracket + rest
