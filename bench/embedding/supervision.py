"""The supervision of an encoder, if it depends on the weights that the user names."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator

from bench.errors import SpecError
from bench.plugins import EncoderInfo, Trained
from bench.registry import Entry
from bench.weights.locations import is_published

# In the grammar of calls, the word none is Python's None.
Stated = Annotated[
    Literal["auto", "none", "self-supervised", "language", "labels"],
    BeforeValidator(lambda value: "none" if value is None else value),
]
"""The parameter ``supervision``: stated by the user, or ``auto`` to derive it from the name of the weights."""


def stated(params: Mapping[str, Any], from_name: Trained | None, owner: str) -> Trained:
    """Return the supervision that the user states, or else the one that follows from the name of the weights.

    Args:
        params: parameters that the user set.
        from_name: supervision according to the name; None if the name does not tell.
        owner: ``encoder 'timm'``, for messages.

    Raises:
        SpecError: neither the user nor the name says it.
    """
    supervision = params.get("supervision", "auto")
    if supervision != "auto":
        return "none" if supervision is None else supervision
    if from_name is None:
        raise SpecError(
            f"{owner}: {params.get('name')} does not tell what its weights were trained with, which tables warn by; "
            "add supervision=none, self-supervised, language or labels to it."
        )
    return from_name


def check_file(entry: Entry[EncoderInfo], params: Mapping[str, Any], file: Path) -> None:
    """Refuse the user's own weights file without a stated supervision, unless it is the published file.

    Args:
        entry: the encoder as registered.
        params: parameters that the user set.
        file: the file in ``weights=FILE``.

    Raises:
        SpecError: ``supervision`` is not stated, and the file is not the published one.
        WeightsError: the file cannot be read.
    """
    if "supervision" not in entry.params or params.get("supervision", "auto") != "auto":
        return
    if not is_published(entry.info.weights_of(params), file):
        raise SpecError(
            f"encoder {entry.name!r}: {params.get('name')} does not tell what the file {file} was trained with, which "
            "tables warn by; add supervision=none, self-supervised, language or labels to it."
        )
