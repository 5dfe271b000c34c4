"""The test accuracies that tables can show."""

from __future__ import annotations

from typing import Final, Literal

Metric = Literal["last", "best", "flipped"]
ACCURACY: Final[dict[Metric, str]] = {"last": "accuracy", "best": "best_accuracy", "flipped": "flipped_accuracy"}
"""Metric -> the row's field."""
METRIC: Final[dict[Metric, str]] = {
    "last": "last-iteration test accuracy",
    "best": "best test accuracy seen during training",
    "flipped": "last-iteration test accuracy with mirror images",
}
"""Metric -> what it is, in words."""


def file_name(name: str, metric: Metric) -> str:
    """Return the name of a file that depends on the metric; one of another metric never replaces that of the last."""
    return name if metric == "last" else f"{name}-{metric}"
