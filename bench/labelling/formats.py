"""Forms of the choice for labelling tools; imports nothing, so that ``--help`` is quick."""

from __future__ import annotations

from enum import Enum


class Format(str, Enum):
    """What the choice is written for."""

    csv = "csv"
    txt = "txt"
    label_studio = "label-studio"
    cvat = "cvat"
    fiftyone = "fiftyone"
    coco = "coco"


FORMATS = tuple(form.value for form in Format)
"""Their names, as ``--format`` takes them."""
