# SPDX-License-Identifier: Apache-2.0
"""Public definitions of a package as its source has them: signatures and docstrings.

The source is read, not imported, because it has what objects forget: the types as they
were written, and the docstrings under fields, constants and members of enums. Messages
are read from their .proto.
"""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Final

SOURCES: Final = Path(__file__).parents[2] / "src"
WIDTH: Final = 88
"""Columns of a signature; a longer one has a line for each parameter."""

_MESSAGE: Final = r"((?:^// [^\n]*\n)*)^(message {} {{$.*?^}})$"

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Definition:
    """A class, function, method, property, alias or constant."""

    name: str
    """`Client`, or `Client.call` of a member."""
    module: str
    """The module that defines it."""
    signature: str
    doc: str
    """The docstring without its indentation; empty if there is none."""
    bases: tuple[str, ...] = ()
    fields: dict[str, str] = field(default_factory=dict)
    """Docstrings of fields, attributes and members of an enum."""
    members: tuple[Definition, ...] = ()
    """Methods and properties."""


def names_of(module: str) -> list[str]:
    """Return the `__all__` of a module."""
    for node in _tree(module).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            names: list[str] = ast.literal_eval(node.value)
            return [name for name in names if not name.startswith("__")]
    raise LookupError(f"{module}: no __all__")


def doc_of(module: str) -> str:
    """Return the docstring of a module."""
    return ast.get_docstring(_tree(module)) or ""


def define(module: str, name: str) -> Definition:
    """Return the definition of a name that a module defines or imports.

    Raises:
        LookupError: it does neither.
    """
    home, node, doc = _find(module, name)
    if isinstance(node, ast.ClassDef):
        return _class(home, node)
    if isinstance(node, Function):
        return _function(home, node)
    if isinstance(node, ast.ImportFrom):
        return _message(home, name)
    return Definition(name, home, ast.unparse(node), doc)


@cache
def _tree(module: str) -> ast.Module:
    path = SOURCES / module.replace(".", "/")
    file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    return ast.parse(file.read_text())


def _find(module: str, name: str) -> tuple[str, ast.stmt, str]:
    """Return the module that defines a name, its statement, and the string below."""
    for node, doc in _statements(_tree(module).body):
        match node:
            case ast.ClassDef() | ast.FunctionDef() | ast.AsyncFunctionDef():
                if node.name == name:
                    return module, node, doc
            case ast.Assign(targets=[ast.Name(id=found)]) if found == name:
                return module, node, doc
            case ast.AnnAssign(target=ast.Name(id=found)) if found == name:
                return module, node, doc
            case ast.ImportFrom(module=str(source), names=aliases) if any(
                (alias.asname or alias.name) == name for alias in aliases
            ):
                if source.split(".")[0] != module.split(".")[0] or "_pb2" in source:
                    return source, node, ""
                return _find(source, name)
    raise LookupError(f"{module}: no {name}")


def _statements(body: list[ast.stmt]) -> Iterator[tuple[ast.stmt, str]]:
    """Yield statements, those below `if` too, each with the string that follows it."""
    for node, below in zip(body, [*body[1:], ast.Pass()], strict=True):
        if isinstance(node, ast.If):
            yield from _statements(node.body)
        doc = ""
        if isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant):
            doc = inspect.cleandoc(str(below.value.value))
        yield node, doc


def _message(module: str, name: str) -> Definition:
    """Return a message of a module that protoc made, with the comment above it."""
    path = (SOURCES / module.replace(".", "/")).with_name(
        module.rpartition(".")[2].replace("_pb2", ".proto")
    )
    found = re.search(_MESSAGE.format(name), path.read_text(), re.M | re.S)
    if found is None:
        raise LookupError(f"{path}: no message {name}")
    return Definition(name, module, found[2], re.sub("^// ", "", found[1], flags=re.M))


def _class(module: str, node: ast.ClassDef) -> Definition:
    bodies = [(module, node), *_inherited(module, node)]
    members: dict[str, Definition] = {}
    fields: dict[str, str] = {}
    parameters: list[str] = []
    init = None
    for home, part in bodies:
        for statement, doc in _statements(part.body):
            match statement:
                case ast.FunctionDef() | ast.AsyncFunctionDef():
                    if statement.name == "__init__" and part is node:
                        init = statement
                    elif not statement.name.startswith("_"):
                        member = _function(home, statement, node.name)
                        members.setdefault(statement.name, member)
                case ast.AnnAssign(target=ast.Name(id=name)) if name[0] != "_":
                    parameters.append(_field(home, statement))
                    fields[name] = doc
                case ast.Assign(targets=[ast.Name(id=name)]) if name[0] != "_":
                    value = ast.unparse(statement.value)
                    shown = name if value == "enum.auto()" else f"{name} = {value}"
                    fields[shown] = doc
    doc, made = ast.get_docstring(node) or "", None
    decorators = {ast.unparse(it).partition("(")[0] for it in node.decorator_list}
    if init is not None:
        fields |= _attributes(init)
        made = ast.get_docstring(init)
    if made:
        parameters = _parameters(init.args)[1:] if init is not None else []
    elif "dataclass" not in decorators:
        # An object that the library makes, or one without arguments.
        parameters = []
    bases = [base for base in node.bases if not isinstance(base, ast.Subscript)]
    return Definition(
        node.name,
        module,
        _signature(f"class {node.name}", parameters, ""),
        f"{doc}\n\n{made}" if made else doc,
        tuple(base for base in map(ast.unparse, bases) if base != "Protocol"),
        fields,
        tuple(members.values()),
    )


def _field(module: str, node: ast.AnnAssign) -> str:
    """Return a field as a parameter; of a number that is computed, its value."""
    value = None if node.value is None else _number(module, node.value)
    if value is None:
        text = ast.unparse(node)
        return text.partition(" = field(")[0]
    shown = f"{value >> 20} << 20" if value and value % (1 << 20) == 0 else f"{value:_}"
    return f"{ast.unparse(node.target)}: {ast.unparse(node.annotation)} = {shown}"


def _number(module: str, node: ast.expr) -> int | None:
    """Return the value of a product, a shift, or a constant of this package."""
    match node:
        case ast.Constant(value=int(value)) if not isinstance(value, bool):
            return value
        case ast.BinOp(left=left, op=ast.Mult() | ast.LShift() as op, right=right):
            a, b = _number(module, left), _number(module, right)
            if a is None or b is None:
                return None
            return a * b if isinstance(op, ast.Mult) else a << b
        case ast.Name(id=name):
            home, found, _ = _find(module, name)
            if isinstance(found, ast.Assign | ast.AnnAssign) and found.value:
                return _number(home, found.value)
    return None


def _inherited(module: str, node: ast.ClassDef) -> Iterator[tuple[str, ast.ClassDef]]:
    """Yield the generic bases of this package, whose members users see as its own."""
    for base in node.bases:
        if isinstance(base, ast.Subscript) and ast.unparse(base.value) != "Generic":
            try:
                home, found, _ = _find(module, ast.unparse(base.value))
            except LookupError:
                continue
            if isinstance(found, ast.ClassDef):
                yield home, found


def _attributes(init: Function) -> dict[str, str]:
    """Return the public attributes that `__init__` sets, with their docstrings."""
    found = {}
    for statement, doc in _statements(init.body):
        match statement:
            case (
                ast.Assign(targets=[ast.Attribute(attr=name)])
                | ast.AnnAssign(target=ast.Attribute(attr=name))
            ) if name[0] != "_" and name != "args":
                found[name] = doc
    return found


def _function(module: str, node: Function, owner: str = "") -> Definition:
    kinds = {ast.unparse(decorator) for decorator in node.decorator_list}
    name = f"{owner}.{node.name}" if owner else node.name
    returns = f" -> {ast.unparse(node.returns)}" if node.returns else ""
    if "property" in kinds:
        signature = f"{node.name}{returns.replace(' ->', ':')}"
    else:
        parameters = _parameters(node.args)
        if owner and "staticmethod" not in kinds:
            del parameters[0]
        word = "async def" if isinstance(node, ast.AsyncFunctionDef) else "def"
        signature = _signature(f"{word} {node.name}", parameters, returns)
        for kind in ("classmethod", "contextlib.asynccontextmanager"):
            if kind in kinds:
                signature = f"@{kind}\n{signature}"
    return Definition(name, module, signature, ast.get_docstring(node) or "")


def _parameters(arguments: ast.arguments) -> list[str]:
    """Return the parameters as they are written, and `*` among them."""
    positional = [*arguments.posonlyargs, *arguments.args]
    missing: list[ast.expr | None] = [None] * (
        len(positional) - len(arguments.defaults)
    )
    shown = list(map(_parameter, positional, [*missing, *arguments.defaults]))
    if arguments.vararg is not None:
        shown.append(f"*{_parameter(arguments.vararg)}")
    elif arguments.kwonlyargs:
        shown.append("*")
    return shown + list(map(_parameter, arguments.kwonlyargs, arguments.kw_defaults))


def _parameter(argument: ast.arg, default: ast.expr | None = None) -> str:
    text = ast.unparse(argument)
    return text if default is None else f"{text} = {ast.unparse(default)}"


def _signature(head: str, parameters: list[str], returns: str) -> str:
    line = f"{head}({', '.join(parameters)}){returns}"
    if len(line) <= WIDTH:
        return line.removesuffix("()") if head.startswith("class") else line
    return f"{head}(\n" + "".join(f"    {it},\n" for it in parameters) + f"){returns}"
