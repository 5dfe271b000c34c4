"""Which checks apply to a method, from its declaration and before anything is computed."""

from __future__ import annotations

from collections.abc import Callable

from bench.conformance import ranges
from bench.parts import PARTS
from bench.plugins import MethodInfo
from bench.registry import Entry


def why_not(check: str, entry: Entry[MethodInfo]) -> str:
    """Return why a check does not apply to a method, or an empty text if it applies.

    A check is only skipped if it cannot matter: a method cannot read what it did not declare, so a method without
    declared embeddings reads none. If the needs raise, no check is skipped, so that the checks report the exception.

    Args:
        check: name of the check.
        entry: the method.
    """
    # Most checks apply to every method, and have no entry.
    reason = _REASONS.get(check)
    return reason(entry) if reason else ""


def _labels(entry: Entry[MethodInfo]) -> str:
    return "declares that it reads labels" if entry.info.supervision in ("coreset", "labels") else ""


def _coreset_labels(entry: Entry[MethodInfo]) -> str:
    return "" if entry.info.supervision == "coreset" else "does not declare supervision='coreset'"


def _supervision(entry: Entry[MethodInfo]) -> str:
    return "declares the least supervision" if entry.info.supervision == "none" else ""


def _parameters(entry: Entry[MethodInfo]) -> str:
    return "" if entry.params else "has no parameters"


def _nan_embeddings(entry: Entry[MethodInfo]) -> str:
    return "" if _declares(entry, "embeddings") else "reads no embeddings"


def _nan_scores(entry: Entry[MethodInfo]) -> str:
    return "" if _declares(entry, "scores") else "reads no scores"


def _ties(entry: Entry[MethodInfo]) -> str:
    if entry.info.unpruned:
        return "keeps everything"
    return "" if entry.info.stochastic else "draws nothing, so that equal images can only go by their order"


def _declares(entry: Entry[MethodInfo], held: str) -> bool:
    """Return whether the method declares a part with this content, for the defaults or any choice of a parameter."""
    try:
        return any(
            held in {PARTS[item.part].holds for item in entry.info.needs(entry.resolve(params))}
            for params in ranges.choices(entry, 1)  # the size only affects extreme numbers, which are no choices
        )
    except Exception:
        return True


_REASONS: dict[str, Callable[[Entry[MethodInfo]], str]] = {
    "labels": _labels,
    "coreset-labels": _coreset_labels,
    "supervision": _supervision,
    "parameters": _parameters,
    "nan-embeddings": _nan_embeddings,
    "nan-scores": _nan_scores,
    "ties": _ties,
}
