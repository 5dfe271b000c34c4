"""Which checks apply to a method, from its declaration and before anything is computed."""

from __future__ import annotations

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
    match check:
        case "labels" if entry.info.supervision in ("coreset", "labels"):
            return "declares that it reads labels"
        case "coreset-labels" if entry.info.supervision != "coreset":
            return "does not declare supervision='coreset'"
        case "supervision" if entry.info.supervision == "none":
            return "declares the least supervision"
        case "parameters" if not entry.params:
            return "has no parameters"
        case "nan-embeddings" if not _declares(entry, "embeddings"):
            return "reads no embeddings"
        case "nan-scores" if not _declares(entry, "scores"):
            return "reads no scores"
        case "ties" if entry.info.unpruned:
            return "keeps everything"
        case "ties" if not entry.info.stochastic:
            return "draws nothing, so that equal images can only go by their order"
    return ""


def _declares(entry: Entry[MethodInfo], held: str) -> bool:
    """Return whether the method declares a part with this content, for the defaults or any choice of a parameter."""
    try:
        return any(
            held in {PARTS[item.part].holds for item in entry.info.needs(entry.resolve(params))}
            for params in ranges.choices(entry, 1)  # the size only affects extreme numbers, which are no choices
        )
    except Exception:
        return True
