"""The Weights & Biases tracker. It imports wandb only when a run begins, since that takes a second."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.results.export import columns
from bench.results.rows import Row
from bench.tracking.trackers import WandbMode

PROJECT = "coreset-bench"
_CONNECT, _SEND = 60.0, 15.0
"""Seconds that wandb may take to connect, and to send the rest at the end, for which Ctrl-C waits; after that,
``wandb sync`` can send it. An offline run needs neither."""


class WandbTracker:
    """Writes one wandb run per ``bench run`` to ``OUT/wandb``, with a table ``rows`` of the whole grid.

    Names from rows are reduced to letters, digits and underscores where wandb gives others a meaning. wandb records
    neither the console, code, git, the machine nor its load: the rows record what matters.

    Args:
        mode: ``offline`` sends nothing.
        curves: log each new cell's test accuracy as ``curves/CELL`` over ``iteration``.
    """

    name = "wandb"

    def __init__(self, *, mode: WandbMode, curves: bool) -> None:
        self._mode, self._curves = mode, curves
        self._run: Any = None

    def begin(self, out: Path, grid: Mapping[str, Any]) -> None:
        """See ``Tracker.begin``. It respects ``WANDB_PROJECT`` and ``WANDB_ENTITY``."""
        import os

        import wandb

        (out / "wandb").mkdir(parents=True, exist_ok=True)  # without it wandb silently writes elsewhere
        settings: dict[str, Any] = {
            "console": "off",
            "disable_code": True,
            "disable_git": True,
            "disable_job_creation": True,
            "finish_timeout": _SEND,
            "finish_timeout_raises": True,
            "init_timeout": _CONNECT,
            "quiet": True,
            "silent": True,
            "x_disable_machine_info": True,
            "x_disable_meta": True,
            "x_disable_stats": True,
            "x_save_requirements": False,
        }
        # Settings come and go with wandb's versions, and an unknown one is an error.
        known = {name: value for name, value in settings.items() if name in wandb.Settings.model_fields}
        self._run = wandb.init(
            project=os.environ.get("WANDB_PROJECT", PROJECT),
            name=out.name,
            dir=str(out),
            mode=self._mode,
            config=dict(grid),
            # The user may have another wandb run open in this process.
            reinit="create_new",
            settings=wandb.Settings(**known),
        )
        if self._curves:
            self._run.define_metric("iteration", hidden=True)
            # By iteration, since wandb's own step counts the calls of all cells.
            self._run.define_metric("curves/*", step_metric="iteration")

    def cell_end(self, row: Row | None, counts: Mapping[str, int]) -> None:
        """See ``Tracker.cell_end``."""
        values: dict[str, Any] = {f"cells/{name}": count for name, count in counts.items()}
        if row is not None:
            values |= {"cell/accuracy": row.accuracy, "cell/rate": row.rate, "cell/train_seconds": row.train_seconds}
            for iteration, accuracy in row.curve if self._curves else ():
                self._run.log({f"curves/{_plain(row.cell_id)}": accuracy, "iteration": iteration})
        self._run.log(values)

    def end(self, rows: Sequence[Row]) -> None:
        """See ``Tracker.end``."""
        import wandb

        names, lines = columns(rows)
        try:
            if rows:
                self._run.log({"rows": wandb.Table(columns=list(names), data=list(lines), allow_mixed_types=True)})
            self._run.summary["rows_written"] = len(rows)
        finally:
            self._run.finish()


def _plain(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9_]", "_", text)
