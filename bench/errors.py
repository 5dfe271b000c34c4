"""Errors that a user may see. Each says what was given, what is valid and, for a name, the nearest names."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from contextlib import suppress
from itertools import islice
from pathlib import Path

_NEAR = 0.65
"""Similarity of a suggestion: two letters swapped in a short name (css, ccs) reach it, a few shared letters do not."""

_MOST_LISTED = 100


class BenchError(Exception):
    """Base of every error that the harness raises on purpose; the CLI prints it without a traceback."""


class SpecError(BenchError):
    """The grid, a preset, a YAML file or a parameter is not valid."""


class UnknownName(SpecError):
    """No method, data set, encoder, model or preset has the name that was given.

    Args:
        kind: singular noun of the things that have names.
        name: the name that was given.
        valid: all valid names; if there are more than ``_MOST_LISTED``, the message gives only their number.
        also: text to append to the message.
    """

    def __init__(self, kind: str, name: str, valid: Iterable[str], *, also: str = "") -> None:
        names = sorted(valid)
        listed = ", ".join(names) if len(names) <= _MOST_LISTED else f"{len(names):,} names"
        super().__init__(f"unknown {kind} {name!r}.{did_you_mean(name, names)} Valid: {listed or 'none'}.{also}")

    def __reduce__(self) -> tuple[object, ...]:
        # Pickle would call __init__ with the message alone, and fail.
        return Exception.__new__, (type(self), *self.args)


def nearest(name: str, valid: Iterable[str]) -> list[str]:
    """Return up to three of the valid names that are like ``name``, the nearest first."""
    spelled = {_letters(item): item for item in sorted(valid, reverse=True)}
    close = difflib.get_close_matches(_letters(name), sorted(spelled), n=3, cutoff=_NEAR)
    # The beginning of a long name is not similar to the whole name: kmean and kmeans-sampling.
    completed = [item for item in sorted(spelled) if len(_letters(name)) > 2 and item.startswith(_letters(name))]
    return [spelled[item] for item in (close or completed[:3])]


def did_you_mean(name: str, valid: Iterable[str]) -> str:
    """Return `` Did you mean NAME?`` for the valid names that are like ``name``, if any."""
    near = nearest(name, valid)
    return f" Did you mean {' or '.join(near)}?" if near else ""


def _letters(name: str) -> str:
    """Return the letters by which names are compared: libraries' names have capitals (ViT-B-32), ours have none."""
    return name.lower().lstrip("-")  # which all options begin with


def nearest_file(path: Path) -> str:
    """Return `` Did you mean NAME?`` for the names beside a missing file or folder that are like its own, if any."""
    names: list[str] = []
    with suppress(OSError):
        # Not all of a folder of a million images, with which comparing takes too long for a hint.
        names = [other.name for other in islice(path.parent.iterdir(), 10_000)]
    near = difflib.get_close_matches(path.name, names, n=3)
    return f" Did you mean {' or '.join(near)}?" if near else ""


def install_command(extra: str = "") -> str:
    """Return the command that installs this project, for messages.

    It installs from a checkout: nothing is released yet, and a package index may hold a stranger's package of this
    name.

    Args:
        extra: one of the project's extras; empty for none.
    """
    what = f"'.[{extra}]'" if extra else "."
    return f"pip install -e {what} in a checkout of coreset-bench"


def lower_first(message: str) -> str:
    """Return pydantic's message as a part of a sentence: ``Value error, Input should`` becomes ``input should``."""
    text = message.removeprefix("Value error, ")
    return text[:1].lower() + text[1:]


class RegistrationError(BenchError):
    """A plugin declares something invalid, or a name that is already taken."""


class LabelAccessError(BenchError):
    """A method read labels that its declared supervision forbids."""


class UndeclaredNeed(BenchError):
    """A method read a part of the pool that its ``needs`` do not list."""


class DataError(BenchError):
    """A data set is missing, unreadable or corrupt."""


class OwnFileError(DataError):
    """A file of the user's, which no download can provide, is missing, unreadable or does not fit."""


class WeightsError(BenchError):
    """Encoder weights are missing, unreadable or do not fit the architecture."""


class SelectionError(BenchError):
    """A method cannot meet the request, or returned something that is not a coreset."""


class TrainingError(BenchError):
    """Training cannot continue, for example because the loss is not finite."""


class NotFinite(TrainingError):
    """The loss of a network or of a clustering, or an output, is not finite."""


class TimeLimit(BenchError):
    """A stage or a cell took longer than the run allows."""


class RunError(BenchError):
    """A run cannot start or continue because of the machine."""


class ExecutorLost(RunError):
    """The executor is gone, for example because all nodes of a cluster died.

    Args:
        reason: one line, without a full stop.
        final: whether starting it again is pointless.
    """

    def __init__(self, reason: str, *, final: bool = False) -> None:
        super().__init__(reason)
        self.final = final


class RowError(BenchError):
    """A result row cannot be read, or does not fit the schema."""
