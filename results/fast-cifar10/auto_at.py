"""What ``elfs(clustering=kmeans)`` takes at another rate by the published scores of ``r90/``, see PLAN.md.

python results/fast-cifar10/auto_at.py 0.7 --data-root DATA --weights FILE

Writes auto-at-RATE.csv beside itself: every candidate of the judge at every seed, its judgement, and which was taken.
No proxy is trained and no true label is read. At 0.9 it says how far the judgements are from those of the rows of
``r90/``, and ends with an error if another candidate is taken.
"""

from __future__ import annotations

import csv
import tempfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from elfs_job import HERE, elfs_job, parser_of
from numpy.typing import NDArray
from other_rates import with_aum

from bench.array_source import ArraySource
from bench.judging.ridge import PENALTY, quality
from bench.plugins import methods
from bench.results.published import read_scores, scores_path
from bench.results.rows import Row, read_rows
from bench.selection import budget_for, method_pool, run_method
from bench.stages.judging import JudgeFeatures, Labelings

ROWS = HERE / "r90"
PARAMS = {"clustering": "kmeans"}
FIELDS = ("rate", "seed", "candidate", "judgement", "taken")


def main() -> None:
    """Judge the candidates of each seed."""
    given = parser_of("auto-at", __doc__).parse_args()
    rows = {row.seed: row for row in read_rows(ROWS) if row.variant == "elfs(clustering=kmeans)"}
    lines = []
    with tempfile.TemporaryDirectory() as folder:
        job = elfs_job(given, sorted(rows), Path(folder))
        for cell in job.plan.cells:
            selection, sha = cell.selection(), rows[cell.seed].scores_sha256
            labelings = job.session.arrays(Labelings.of(selection))["labelings"]
            stage = JudgeFeatures.of(selection)
            features, penalty = job.session.arrays(stage)["features"], PENALTY[stage.what]

            def judging(indices: NDArray[np.int64]) -> float:
                return quality(features, labelings, indices, penalty)  # noqa: B023  (called before the next seed)

            scores = read_scores(scores_path(ROWS, sha), sha256=sha)
            source = ArraySource(dynamics_pseudo=with_aum(-scores), judging=judging)
            entry, size = methods.get("elfs"), len(scores)
            pool = method_pool(entry, PARAMS, source, size=size, num_classes=10, rate=given.rate, seed=cell.seed)
            run_method(entry, pool, PARAMS, budget_for(size, given.rate), cell.seed)
            judged, taken = pool.diagnostics.judged, pool.diagnostics.taken
            if given.rate == rows[cell.seed].rate:
                check(rows[cell.seed], judged, taken)
            lines += [(given.rate, cell.seed, name, f"{value:.6f}", name == taken) for name, value in judged.items()]
    with (given.out or HERE / f"auto-at-{given.rate:g}.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(FIELDS)
        writer.writerows(lines)


def check(row: Row, judged: Mapping[str, float], taken: str) -> None:
    """Print the largest difference to a row's judgements, and stop if the row took another candidate."""
    largest = max(abs(value - row.judged[name]) for name, value in judged.items())
    print(f"seed {row.seed}: judgements differ by at most {largest:.2g} from those of {row.cell_id}")
    if taken != row.taken:
        raise SystemExit(f"{row.cell_id}: it took {row.taken}, this script {taken}.")


if __name__ == "__main__":
    main()
