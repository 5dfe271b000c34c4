"""Shell completion of option values: registered names, also after a comma. It imports neither torch nor Ray."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from bench.labelling.formats import FORMATS

Complete = Callable[[str], list[str]]
_FIXED = {
    "trackers": ("wandb", "tensorboard"),
    "devices": ("auto", "cpu", "cuda"),
    "figures": ("png", "svg", "pdf"),
    "choices": FORMATS,
}
"""Names that no plugin adds to, by kind: of figures and choices the formats."""


def one_of(kind: str) -> Complete:
    """Return a completion of one name of a kind: that of a plugin, such as ``methods``, or one of ``_FIXED``."""

    def complete(incomplete: str) -> list[str]:
        return _starting(_names(kind), incomplete)

    return complete


def several(kind: str) -> Complete:
    """Return a completion of a comma-separated list; names already in the list are not offered again.

    Inside the parentheses of a call nothing is offered.
    """

    def complete(incomplete: str) -> list[str]:
        head, comma, last = incomplete.rpartition(",")
        # A comma inside a call separates its parameters.
        if incomplete.count("(") > incomplete.count(")"):
            return []
        # Without their parameters: ``ccs(beta=0.1)`` takes the name ``ccs``.
        taken = {item.partition("(")[0] for item in head.split(",")}
        return [f"{head}{comma}{name}" for name in _starting(_names(kind), last) if name not in taken]

    return complete


def label_free(incomplete: str) -> list[str]:
    """Complete the names of label-free methods."""
    infos = {entry.name: entry.info for entry in _entries("methods")}
    free = [name for name, info in infos.items() if info.supervision in ("none", "pseudo") and not info.unpruned]
    return _starting(free, incomplete)


def presets(incomplete: str) -> list[str]:
    """Complete the names of packaged grids."""
    from bench.grid.spec import preset_names

    return _starting(preset_names(), incomplete)


def _names(kind: str) -> Iterable[str]:
    return _FIXED.get(kind) or [entry.name for entry in _entries(kind)]


def _entries(kind: str) -> list[Any]:
    """Return the registered plugins, or none if they cannot be read, since a completion cannot show an error."""
    from bench import plugins
    from bench.errors import BenchError

    try:
        return list(getattr(plugins, kind))
    except BenchError:
        return []


def _starting(valid: Iterable[str], beginning: str) -> list[str]:
    return [name for name in valid if name.startswith(beginning)]
