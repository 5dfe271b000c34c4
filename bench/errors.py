"""Errors a user may see. Each says what was given, what is valid and, for a name, the nearest ones."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

_NEAR = 0.65
"""Two letters swapped in a short name (css, ccs) leave it this similar; lower, any few shared letters count."""

_MOST_LISTED = 100


class BenchError(Exception):
    """Base of every error that the harness raises on purpose; the CLI prints it without a traceback."""


class SpecError(BenchError):
    """The grid, a preset, a YAML file or a parameter is not valid."""


class UnknownName(SpecError):
    """A method, dataset, encoder, model or preset name that nothing is registered under.

    Args:
        kind: singular noun.
        name: what was given.
        valid: all names; of more than ``_MOST_LISTED`` only the number is told.
        also: what else to say.
    """

    def __init__(self, kind: str, name: str, valid: Iterable[str], *, also: str = "") -> None:
        names = sorted(valid)
        spelled = {_letters(item): item for item in reversed(names)}
        close = difflib.get_close_matches(_letters(name), sorted(spelled), n=3, cutoff=_NEAR)
        # The beginning of one name is unlike it as a whole: kmean, of kmeans-sampling.
        begun = [item for item in sorted(spelled) if len(_letters(name)) > 2 and item.startswith(_letters(name))]
        near = [spelled[item] for item in (close or begun[:3])]
        hint = f"Did you mean {' or '.join(near)}? " if near else ""
        listed = ", ".join(names) if len(names) <= _MOST_LISTED else f"{len(names):,} names"
        super().__init__(f"unknown {kind} {name!r}. {hint}Valid: {listed or 'none'}.{also}")


def _letters(name: str) -> str:
    """Return what of a name tells it from others: libraries' names have capitals (ViT-B-32), ours have not."""
    return name.lower().lstrip("-")  # as all options begin


def install_command(extra: str = "") -> str:
    """Return what to type to install this project, for messages.

    From a checkout: nothing is released yet, and a package index may hold a stranger's package of this name.

    Args:
        extra: one of the project's extras; empty for none.
    """
    what = f"'.[{extra}]'" if extra else "."
    return f"pip install -e {what} in a checkout of coreset-bench"


def lower_first(message: str) -> str:
    """Turn pydantic's message into the middle of a sentence: ``Value error, Input should`` becomes ``input should``."""
    text = message.removeprefix("Value error, ")
    return text[:1].lower() + text[1:]


class RegistrationError(BenchError):
    """A plugin declares something invalid, or a name that is already taken."""


class LabelAccessError(BenchError):
    """A method touched labels that its declared supervision forbids."""


class UndeclaredNeed(BenchError):
    """A method touched a part of the pool that its ``needs`` do not list."""


class DataError(BenchError):
    """A data set is missing, unreadable or corrupt."""


class OwnFileError(DataError):
    """A file that the user named, and that no download can bring, is missing, unreadable or does not fit."""


class WeightsError(BenchError):
    """Encoder weights are missing, unreadable or do not fit the architecture."""


class SelectionError(BenchError):
    """A method cannot meet the request, or returned something that is not a coreset."""


class TrainingError(BenchError):
    """Training cannot go on, for example because the loss is not finite."""


class NotFinite(TrainingError):
    """The loss of a network or of a clustering is not finite."""


class TimeLimit(BenchError):
    """A stage or a cell took longer than the run allows."""


class RunError(BenchError):
    """A run cannot start or go on, for a reason that lies in the machine."""


class ExecutorLost(RunError):
    """What runs the work is gone, such as all nodes of a cluster.

    Args:
        reason: one line, without a full stop.
        final: whether a fresh start is not worth a try.
    """

    def __init__(self, reason: str, *, final: bool = False) -> None:
        super().__init__(reason)
        self.final = final


class RowError(BenchError):
    """A result row cannot be read, or does not fit the schema."""
