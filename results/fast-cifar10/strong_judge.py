"""A judge that learns as long as the final model, see PLAN.md; writes strong-judge-RATE.csv beside itself.

python results/fast-cifar10/strong_judge.py 0.9 --seed 0 --data-root DATA --weights FILE

Reads the committed coresets of random and of the fixed betas at a seed, and writes a line as soon as one is judged. No
true label is read: ``accuracy`` is that of the row.
"""

from __future__ import annotations

import csv
import tempfile
from pathlib import Path

from elfs_job import HERE, elfs_job, parser_of

from bench.judging.network import qualities
from bench.results.published import indices_path, pool_positions, read_indices
from bench.results.rows import Row, read_rows
from bench.stages.dynamics import normalised_by, read_proxy_inputs
from bench.stages.judging import Labelings

ROWS = {0.9: HERE / "r90", 0.7: HERE / "r70"}
FIELDS = ("seed", "method", "beta", "steps", "quality", "accuracy")


def main() -> None:
    """Judge coreset after coreset, but those that the file has."""
    parser = parser_of("strong-judge", __doc__, sorted(ROWS))
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    seed: int = given.seed
    rows, out = ROWS[given.rate], given.out or HERE / f"strong-judge-{given.rate:g}.csv"
    known = set()
    if out.exists():
        with out.open(newline="", encoding="utf-8") as file:
            known = {(row["method"], row["beta"]) for row in csv.DictReader(file) if row["seed"] == str(seed)}
    with tempfile.TemporaryDirectory() as folder:
        job = elfs_job(given, [seed], Path(folder))
        session, selection = job.session, job.plan.cells[0].selection()
        proxy, dataset = selection.network(), selection.dataset
        labelings = session.arrays(Labelings.of(selection))["labelings"]
        inputs, pool = read_proxy_inputs(proxy, dataset, session), session.dataset(dataset)
        judged = {name: row for row in read_rows(rows) if row.seed == seed and (name := coreset_of(row))}
        # Random first, which each of the others is compared with.
        for (method, beta), row in sorted(judged.items(), key=lambda item: (item[0][0] != "random", item[0])):
            if (method, beta) in known:
                continue
            indices = read_indices(indices_path(rows, row.cell_id), sha256=row.indices_sha256)
            [quality] = qualities(
                proxy,
                inputs,
                labelings,
                [pool_positions(indices, pool)],
                dataset=normalised_by(proxy, dataset, session),
                seed=seed,
                device=session.device,
                steps=row.recipe.iterations,  # where elfs(rehearsal=network) shares half a proxy among all candidates
            )
            new = not out.exists()
            with out.open("a", newline="", encoding="utf-8") as file:
                writer = csv.writer(file, lineterminator="\n")
                if new:
                    writer.writerow(FIELDS)
                writer.writerow((seed, method, beta, row.recipe.iterations, f"{quality:.6f}", f"{row.accuracy:.2f}"))


def coreset_of(row: Row) -> tuple[str, str] | None:
    """Return method and beta of a coreset to judge; None for others."""
    if row.method == "random":
        return "random", ""
    if row.method == "elfs" and row.params["beta"] != "auto":
        return "elfs", str(row.params["beta"])
    # A coreset of ``other_rates.py``, such as elfs-beta0.2.
    method, _, beta = str(row.params.get("of", "")).partition("-beta")
    return (method, beta) if method == "elfs" else None


if __name__ == "__main__":
    main()
