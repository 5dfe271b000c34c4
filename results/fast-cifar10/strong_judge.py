"""A judge that learns as long as the final model, see PLAN.md; writes strong-judge.csv beside itself, a row a coreset.

python results/fast-cifar10/strong_judge.py --data-root DATA --weights FILE

Reads the committed coresets of random and of the fixed betas at seed 0. No true label is read: ``accuracy`` is that of
the row.
"""

from __future__ import annotations

import argparse
import csv
import tempfile
from pathlib import Path

from bench.engine.start import Job, RunOptions
from bench.grid.spec import load_spec
from bench.judging.network import qualities
from bench.results.published import indices_path, pool_positions, read_indices
from bench.results.rows import read_rows
from bench.stages.dynamics import normalised_by, read_proxy_inputs
from bench.stages.judging import Labelings

HERE = Path(__file__).parent
ROWS = HERE / "r90"
FIELDS = ("seed", "method", "beta", "steps", "quality", "accuracy")
SEED = 0


def main() -> None:
    """Judge coreset after coreset, but those that the file has."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-root", type=Path)
    parser.add_argument("--cache-dir", type=Path)
    parser.add_argument("--weights", help="file of efficientnet_lite0")
    parser.add_argument("--out", type=Path, default=HERE / "strong-judge.csv")
    given = parser.parse_args()
    encoder = f"efficientnet_lite0(size=160{f',weights={given.weights}' if given.weights else ''})"
    spec = load_spec(
        config=HERE / "grid.yaml", given={"methods": "elfs(clustering=kmeans)", "encoders": encoder, "seeds": [SEED]}
    )
    known = set()
    if given.out.exists():
        with given.out.open(newline="", encoding="utf-8") as file:
            known = {(row["method"], row["beta"]) for row in csv.DictReader(file)}
    with tempfile.TemporaryDirectory() as folder:
        job = Job(
            spec, RunOptions(executor="local", out=Path(folder), data_root=given.data_root, cache_dir=given.cache_dir)
        )
        session, selection = job.session, job.plan.cells[0].selection()
        proxy, dataset = selection.network(), selection.dataset
        labelings = session.arrays(Labelings.of(selection))["labelings"]
        inputs, pool = read_proxy_inputs(proxy, dataset, session), session.dataset(dataset)
        for row in sorted(read_rows(ROWS), key=lambda row: (row.method, str(row.params.get("beta")))):
            beta = str(row.params.get("beta", ""))
            fixed = row.method == "random" or (row.method == "elfs" and beta != "auto")
            if row.seed != SEED or not fixed or (row.method, beta) in known:
                continue
            indices = read_indices(indices_path(ROWS, row.cell_id), sha256=row.indices_sha256)
            [quality] = qualities(
                proxy,
                inputs,
                labelings,
                [pool_positions(indices, pool)],
                dataset=normalised_by(proxy, dataset, session),
                seed=SEED,
                device=session.device,
                steps=row.recipe.iterations,  # where elfs(rehearsal=network) shares half a proxy among all candidates
            )
            new = not given.out.exists()
            with given.out.open("a", newline="", encoding="utf-8") as file:
                writer = csv.writer(file, lineterminator="\n")
                if new:
                    writer.writerow(FIELDS)
                writer.writerow(
                    (SEED, row.method, beta, row.recipe.iterations, f"{quality:.6f}", f"{row.accuracy:.2f}")
                )


if __name__ == "__main__":
    main()
