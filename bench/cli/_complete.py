"""What the shell offers behind an option: registered names, also behind a comma. Imports neither torch nor Ray."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from bench.labelling.formats import FORMATS

Complete = Callable[[str], list[str]]
_TRACKERS, _DEVICES, _FORMATS = ("wandb", "tensorboard"), ("auto", "cpu", "cuda"), ("png", "svg", "pdf")


def one_of(kind: str) -> Complete:
    """Complete one name of a kind: ``methods``, ``datasets``, ``encoders`` or ``models``."""

    def complete(incomplete: str) -> list[str]:
        return _starting(names(kind), incomplete)

    return complete


def several(kind: str) -> Complete:
    """Complete a comma-separated list: what stands before the last comma is kept, and not offered again.

    Inside the parentheses of a call nothing is offered.
    """

    def complete(incomplete: str) -> list[str]:
        return listed(names(kind), incomplete)

    return complete


def listed(valid: Iterable[str], incomplete: str) -> list[str]:
    """Complete a comma-separated list by one of some names."""
    head, comma, last = incomplete.rpartition(",")
    # A comma inside a call separates its parameters, which are no names.
    if incomplete.count("(") > incomplete.count(")"):
        return []
    # Without their parameters: ``ccs(beta=0.1)`` takes the name ``ccs``.
    taken = {item.partition("(")[0] for item in head.split(",")}
    return [f"{head}{comma}{name}" for name in _starting(valid, last) if name not in taken]


def names(kind: str) -> list[str]:
    """Return the registered names of a kind."""
    return [entry.name for entry in _entries(kind)]


def label_free(incomplete: str) -> list[str]:
    """Complete methods that select without labels."""
    infos = {entry.name: entry.info for entry in _entries("methods")}
    free = [name for name, info in infos.items() if info.supervision in ("none", "pseudo") and not info.unpruned]
    return _starting(free, incomplete)


def presets(incomplete: str) -> list[str]:
    """Complete the names of packaged grids."""
    from bench.grid.spec import preset_names

    return _starting(preset_names(), incomplete)


def trackers(incomplete: str) -> list[str]:
    """Complete values of ``--track``."""
    return listed(_TRACKERS, incomplete)


def formats(incomplete: str) -> list[str]:
    """Complete formats of figures."""
    return listed(_FORMATS, incomplete)


def handover_formats(incomplete: str) -> list[str]:
    """Complete what ``bench select`` writes for tools."""
    return listed(FORMATS, incomplete)


def devices(incomplete: str) -> list[str]:
    """Complete values of ``--device``."""
    return _starting(_DEVICES, incomplete)


def _entries(kind: str) -> list[Any]:
    """Return what is registered; nothing where plugins cannot be read: a completion has no place for an error."""
    from bench import plugins
    from bench.errors import BenchError

    try:
        return list(getattr(plugins, kind))
    except BenchError:
        return []


def _starting(valid: Iterable[str], beginning: str) -> list[str]:
    return [name for name in valid if name.startswith(beginning)]
