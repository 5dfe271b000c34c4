"""Facts that a method reports besides its coreset: parameters that it chose itself, and its scores."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.errors import SelectionError

_CHOSEN = "chosen."
_JUDGED, _TAKEN = "judged", "taken"


@dataclass(frozen=True)
class Diagnostics:
    """The facts that ``Pool.report`` collects. They are stored with the coreset and shown in the row.

    Attributes:
        chosen: parameter -> the value that the method chose for it.
        scores: float32 [N], high = hard; None if the method has no score.
        judged: candidate -> the judge's value, high = good, if the method had several coresets judged.
        taken: name of the candidate that the method took; empty if none was judged.
    """

    chosen: Mapping[str, float] = field(default_factory=dict)
    scores: NDArray[np.float32] | None = None
    judged: Mapping[str, float] = field(default_factory=dict)
    taken: str = ""

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return the reported facts as arrays, for storage beside the indices."""
        parts: dict[str, NDArray[Any]] = {_CHOSEN + name: np.array(value) for name, value in self.chosen.items()}
        if self.judged:
            parts[_JUDGED] = np.array(list(self.judged.values()))
            # Text as fixed-width characters: the store refuses Python objects, which only pickle could hold.
            parts[f"{_JUDGED}.names"] = np.array(list(self.judged))
            parts[_TAKEN] = np.array(self.taken)
        return parts if self.scores is None else {**parts, "scores": self.scores}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> Diagnostics:
        """Return the facts stored by ``arrays``; other names are ignored, and earlier selections have none."""
        chosen = {name[len(_CHOSEN) :]: float(value) for name, value in arrays.items() if name.startswith(_CHOSEN)}
        judged = {}
        if _JUDGED in arrays:
            names, values = arrays[f"{_JUDGED}.names"].tolist(), arrays[_JUDGED].tolist()
            judged = dict(zip(names, values, strict=True))
        return cls(chosen, arrays.get("scores"), judged, str(arrays[_TAKEN]) if judged else "")


def check_scores(scores: Any, size: int) -> NDArray[np.float32]:
    """Return the scores as a float32 copy; refuse anything but one finite number per pool image.

    Args:
        scores: any object; N finite real numbers are valid. Not modified.
        size: N.

    Returns:
        float32 [N]; scores that differ by less than float32 resolves become equal.

    Raises:
        SelectionError: another shape or type, or a value that is NaN, infinite or too large for float32.
    """
    if np.ma.is_masked(scores):
        raise SelectionError("report(scores=...) got a masked array; expected a number for every image: .filled(...).")
    array = np.asarray(scores)
    # Real numbers, whole numbers and booleans only: text would be parsed, and complex numbers would lose a half.
    if array.shape != (size,) or array.dtype.kind not in "fiub":
        raise SelectionError(
            f"report(scores=...) got {array.dtype} of shape {array.shape}; expected one number, high = hard, for each "
            f"of the {size} pool images."
        )
    with np.errstate(over="ignore"):
        # Always a copy: the method may go on writing into its array.
        plain = array.astype(np.float32)
    bad = int(np.count_nonzero(~np.isfinite(plain)))
    if bad:
        raise SelectionError(f"report(scores=...) got {bad} of {size} scores that are NaN or infinite.")
    return plain


def check_chosen(values: Mapping[str, Any]) -> dict[str, float]:
    """Return the chosen parameters as finite floats; refuse other values.

    Raises:
        SelectionError: a value is not a finite number.
    """
    chosen = {}
    for name, value in values.items():
        try:
            chosen[name] = float(value)
        except (TypeError, ValueError):
            raise SelectionError(f"report({name}={value!r}): a chosen parameter is reported as one number.") from None
        if not math.isfinite(chosen[name]):
            raise SelectionError(f"report({name}={value!r}): the number must be finite.")
    return chosen


def check_judged(judged: Mapping[str, Any], taken: str) -> tuple[dict[str, float], str]:
    """Return the judge's values in [0, 1] and the candidate that was taken; refuse other values and candidates.

    Raises:
        SelectionError: a value is not a number in [0, 1], or the candidate taken was not judged.
    """
    values = check_chosen(judged)
    for name, value in values.items():
        if not 0 <= value <= 1:
            raise SelectionError(f"report(judged=...) got {value} for {name}; a judge's value lies in 0 to 1.")
    if taken not in values:
        raise SelectionError(f"report(taken={taken!r}): judged were {', '.join(values) or 'none'}.")
    return values, taken
