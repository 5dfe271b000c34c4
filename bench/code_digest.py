"""Digests of the source files that a method depends on: an edited method must not reuse its former coresets."""

from __future__ import annotations

import ast
import dis
import hashlib
import io
import tokenize
from collections.abc import Callable, Iterator
from functools import cache
from importlib.util import find_spec, resolve_name
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any

_BUILT_IN = "bench.methods"
_SHARED = ("bench.ranking", "bench.knn", "bench.clustering.kmeans", "bench.dynamics")
"""Modules of the harness that determine what a built-in method computes; ``dynamics`` decides what is hard."""
_LAYOUT = {tokenize.COMMENT, tokenize.NL, tokenize.INDENT, tokenize.DEDENT}


def code_digest(function: Callable[..., Any], version: int) -> str:
    """Return a digest of a method's declared version and of the source files that it depends on.

    Those files are its module and, directly or indirectly, the related modules that it imports: of the same top-level
    package (``bench.methods`` for built-in methods, with the modules of ``_SHARED``), or for a module without a
    package, of the same folder. The digest ignores the rest of the harness, other packages, modules imported under a
    name computed at run time, comments and docstrings. A function of a notebook or script has no such file in a
    worker; its digest is that of its compiled code and defaults, and of the functions, classes and plain constants of
    the notebook or script that it uses, directly or indirectly.

    Args:
        function: the method.
        version: its declared version.

    Returns:
        16 hexadecimal characters, constant while this process runs if there is a file.
    """
    # Not kept: in a notebook, the user may edit a helper and leave the method that calls it as it is.
    if _file(function.__module__) is None:
        return hashlib.sha256(f"{version}\0{_typed_in(function, set())}".encode()).hexdigest()[:16]
    return _digest_of_files(function.__module__, version)


@cache
def _digest_of_files(module: str, version: int) -> str:
    start = _file(module)
    assert start is not None
    folder = start.parent
    sources: dict[str, str] = {}
    waiting = [module, *(_SHARED if module.startswith(f"{_BUILT_IN}.") else ())]
    while waiting:
        name = waiting.pop()
        path = _file(name)
        if path is None or name in sources or ("." not in module and path.parent != folder):
            continue
        sources[name] = path.read_text(encoding="utf-8", errors="replace")
        package = name if path.name == "__init__.py" else name.rpartition(".")[0]
        waiting += _imported(sources[name], package, module)
    text = "\0".join(f"{name}\0{_statements(source)}" for name, source in sorted(sources.items()))
    return hashlib.sha256(f"{version}\0{text}".encode()).hexdigest()[:16]


def _statements(source: str) -> str:
    """Return a source without comments, docstrings and empty lines, so that editing those keeps the digest."""
    # The rest stays text: digests go into rows, and trees and tokens of f-strings change with Python versions.
    lines = source.split("\n")
    tokens = list(tokenize.generate_tokens(io.StringIO(source).readline))
    words = [token for token in tokens if token.type == tokenize.COMMENT]
    code = [token for token in tokens if token.type not in _LAYOUT]
    for before, token, after in zip([None, *code], code, code[1:], strict=False):
        begins = before is None or before.type == tokenize.NEWLINE
        if token.type == tokenize.STRING and begins and after.type == tokenize.NEWLINE:
            words.append(token)
    # From the end, so that a cut moves no position that is still to be used.
    for token in sorted(words, key=lambda token: token.start, reverse=True):
        (first, begin), (last, end) = token.start, token.end
        lines[first - 1 : last] = [lines[first - 1][:begin] + lines[last - 1][end:]]
    return "\n".join(line.rstrip() for line in lines if line.strip())


def _typed_in(value: Any, seen: set[int]) -> str:
    """Return a text of what a value of a notebook or script does; only its type for arrays, models and the like.

    Args:
        value: a function, class, constant or any other object.
        seen: ids of the functions and classes that were described before, since two may call each other.
    """
    if isinstance(value, bool | int | float | complex | str | bytes | None):
        return repr(value)
    if isinstance(value, tuple):
        return repr([_typed_in(item, seen) for item in value])
    # Lists and dicts are left out: a method may write to one, and its digest must not change during a run.
    if not isinstance(value, FunctionType | type) or _file(value.__module__) is not None or id(value) in seen:
        return f"a {type(value).__name__}"
    seen.add(id(value))
    if isinstance(value, type):
        parts = sorted((name, part) for name, part in vars(value).items() if isinstance(part, FunctionType))
        return repr([(name, _typed_in(part, seen)) for name, part in parts])
    uses = {name: value.__globals__[name] for name in _globals_of(value.__code__) if name in value.__globals__}
    enclosed = [_typed_in(cell.cell_contents, seen) for cell in value.__closure__ or ()]
    defaults = sorted((value.__kwdefaults__ or {}).items())
    texts = [(name, _typed_in(used, seen)) for name, used in (*defaults, *sorted(uses.items()))]
    return repr((_compiled(value.__code__), _typed_in(value.__defaults__, seen), enclosed, texts))


def _globals_of(code: CodeType) -> set[str]:
    """Return the global names that a function reads, also inside functions of its own, without those that it sets."""
    inner = [constant for constant in code.co_consts if isinstance(constant, CodeType)]
    steps = [(step.opname, step.argval) for step in dis.get_instructions(code)]
    names = {name for operation, name in steps if operation == "LOAD_GLOBAL"}.union(*map(_globals_of, inner))
    return names - {name for operation, name in steps if operation == "STORE_GLOBAL"}


def _compiled(code: CodeType) -> str:
    """Return a text of what a function's own code does, independent of its file and line."""

    def text(constant: object) -> str:
        # ``in {"a", "b"}`` compiles to a frozenset, whose order of strings changes with every process's hash seed.
        if isinstance(constant, CodeType):
            return _compiled(constant)
        return repr(sorted(map(repr, constant)) if isinstance(constant, frozenset) else constant)

    return repr((code.co_code, [text(item) for item in code.co_consts], code.co_names, code.co_varnames))


def _related(name: str, module: str) -> bool:
    """Return whether, by its name, a module belongs to the package or folder of ``module``."""
    if "." not in module:
        return "." not in name
    root = _BUILT_IN if module.startswith(f"{_BUILT_IN}.") else module.partition(".")[0]
    return name == root or name.startswith(f"{root}.")


def _imported(source: str, package: str, module: str) -> Iterator[str]:
    """Yield the names of related modules that a source imports, anywhere in it."""
    # All nodes, not the top of the file alone: methods import heavy helpers inside functions.
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if _related(alias.name, module))
        elif isinstance(node, ast.ImportFrom):
            base = resolve_name("." * node.level + (node.module or ""), package) if node.level else str(node.module)
            inside = [f"{base}.{alias.name}" for alias in node.names]
            modules = [name for name in inside if _related(name, module) and _file(name)]
            yield from modules
            # A name that is no module is an attribute of the base, so that the base's source counts.
            if len(modules) < len(inside) and _related(base, module):
                yield base


def _file(name: str) -> Path | None:
    """Return the source file of a module; None if it has none, or if there is no such module."""
    try:
        spec = find_spec(name)
    except (ImportError, ValueError, AttributeError):
        return None
    origin = Path(spec.origin) if spec and spec.origin else None
    return origin if origin is not None and origin.suffix == ".py" else None
