"""Importing other libraries, and checking their names."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Collection
from pathlib import Path
from types import ModuleType

from bench.errors import BenchError, SpecError, UnknownName, install_command


def library(module: str, *, owner: str, extra: str, having: str = "") -> ModuleType:
    """Return another library, imported.

    Args:
        module: its import name.
        owner: the plugin that needs it, for messages: ``encoder 'timm'``.
        extra: the extra of this project that installs it.
        having: an attribute of the library, if a folder on Python's path may hide it by its name, as this project's
            folder ``datasets`` does in a checkout.

    Raises:
        BenchError: the library, or a package that it needs, is not installed.
    """
    try:
        imported = importlib.import_module(module)
        if not having or hasattr(imported, having):
            return imported
        return _behind(imported)
    except ModuleNotFoundError as error:
        raise BenchError(
            f"{owner} needs {error.name}, which is not installed; run {install_command(extra)}."
        ) from error


def known(name: str, names: Collection[str], *, owner: str, example: str, kind: str = "encoders") -> str:
    """Return ``name`` if it is one of ``names``, else refuse it.

    Args:
        name: the user's name.
        names: names that the library knows.
        owner: see ``library``.
        example: a name that exists.
        kind: kind of plugin, for the advice to search with ``bench list``.

    Raises:
        SpecError: no name was given.
        UnknownName: the name is not known; the message has the nearest names.
    """
    if not name:
        raise SpecError(f"{owner} needs a name, such as name={example}; bench list {kind} --search TEXT finds some.")
    if name not in names:
        raise UnknownName(f"name of {owner}:", name, names, also=f" bench list {kind} --search TEXT finds some.")
    return name


def _behind(stranger: ModuleType) -> ModuleType:
    """Return the library that a folder or file of the same name hides; Python's path stays as it was."""
    name, paths = stranger.__name__, getattr(stranger, "__path__", None) or [str(stranger.__file__)]
    folders = {Path(path).parent.resolve() for path in paths}
    # With its submodules: otherwise the library would get the stranger's ``utils`` in place of its own.
    strangers = {key: module for key, module in sys.modules.items() if key == name or key.startswith(f"{name}.")}
    for key in strangers:
        del sys.modules[key]
    before = sys.path[:]
    sys.path[:] = [entry for entry in before if Path(entry or ".").resolve() not in folders]
    importlib.invalidate_caches()
    try:
        return importlib.import_module(name)
    except ImportError:
        sys.modules.update(strangers)
        raise
    finally:
        sys.path[:] = before
