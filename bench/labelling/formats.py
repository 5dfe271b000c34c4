"""File formats of labelling tools; imports nothing, so that ``--help`` is quick."""

from __future__ import annotations

from enum import Enum


class Format(str, Enum):
    """File format of a choice."""

    csv = "csv"
    txt = "txt"
    label_studio = "label-studio"
    cvat = "cvat"
    fiftyone = "fiftyone"
    coco = "coco"


FORMATS = tuple(form.value for form in Format)
"""Names of the formats, as ``--format`` takes them."""
