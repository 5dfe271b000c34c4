"""What an encoder was trained with, where that follows from the weights that the user names."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator

from bench.errors import SpecError
from bench.plugins import EncoderInfo, Trained
from bench.registry import Entry
from bench.weights.locations import is_published

# In the grammar of calls the bare word none is Python's None.
Given = Annotated[
    Literal["auto", "none", "self-supervised", "language", "labels"],
    BeforeValidator(lambda value: "none" if value is None else value),
]
"""The parameter ``supervision``: what the user states, or ``auto`` for what the name of the weights tells."""


def stated(params: Mapping[str, Any], told: Trained | None, owner: str) -> Trained:
    """Return what the user states in ``supervision``, and otherwise what the name of the weights tells.

    Args:
        params: those that the user set.
        told: what the name tells; None for nothing.
        owner: ``encoder 'timm'``, for messages.

    Raises:
        SpecError: neither says anything.
    """
    given = params.get("supervision", "auto")
    if given != "auto":
        return "none" if given is None else given
    if told is None:
        raise SpecError(
            f"{owner}: {params.get('name')} does not tell what its weights were trained with, which tables warn by; "
            "add supervision=none, self-supervised, language or labels to it."
        )
    return told


def check_file(entry: Entry[EncoderInfo], params: Mapping[str, Any], file: Path) -> None:
    """Refuse a file of the user's own of which only the name of other weights tells what it was trained with.

    Args:
        entry: the encoder as registered.
        params: those that the user set.
        file: what ``weights=FILE`` named.

    Raises:
        SpecError: ``supervision`` is not stated, and the file is not known to be the published one.
        WeightsError: the file cannot be read.
    """
    if "supervision" not in entry.params or params.get("supervision", "auto") != "auto":
        return
    if not is_published(entry.info.weights_of(params), file):
        raise SpecError(
            f"encoder {entry.name!r}: {params.get('name')} does not tell what the file {file} was trained with, which "
            "tables warn by; add supervision=none, self-supervised, language or labels to it."
        )
