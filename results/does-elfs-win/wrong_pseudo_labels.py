"""Does ELFS drop the wrong pseudo-labels? Their share among what it dropped as too hard, kept, and dropped as too easy.

Beside it the smallest class of the coreset, of the share n / C that it would have in a balanced one.

python results/does-elfs-win/wrong_pseudo_labels.py FOLDER --cache-dir DIR [--data-root DIR]    prints a Markdown table

FOLDER is what ``bench run`` wrote with ``elfs`` at fixed betas, DIR the store of shared stages that it used. True
labels are read afterwards and choose nothing.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bench import count_hardest
from bench.grammar import parse_call
from bench.identity import clean_modifiers
from bench.loading import load_dataset
from bench.results.pseudo_quality import right
from bench.results.published import indices_path, pool_positions, read_indices, read_scores, scores_path
from bench.results.rows import Row, read_rows
from bench.results.stats import summarize

COLUMNS = ("encoder", "removed", "beta", "n", "whole pool", "too hard", "kept", "too easy", "smallest class")


class Shares(NamedTuple):
    """Percent of wrong pseudo-labels, NaN of nothing; and the smallest class, in percent of its fair share."""

    pool: float
    hard: float
    kept: float
    easy: float
    smallest: float


def shares(
    mistaken: NDArray[np.bool_],
    scores: NDArray[np.float32],
    kept: NDArray[np.int64],
    beta: float,
    labels: NDArray[np.int64],
    num_classes: int,
) -> Shares:
    """Split the pool as ELFS did.

    Args:
        mistaken: bool [N].
        scores: float32 [N], high = hard.
        kept: int64 [n], positions of the coreset.
        beta: share of the pool that was dropped as too hard.
        labels: int64 [N], true ones.
        num_classes: C.
    """
    left = np.setdiff1d(np.arange(len(scores)), kept)
    by_difficulty = left[np.argsort(-scores[left], kind="stable")]
    hard, easy = np.split(by_difficulty, [count_hardest(beta, len(scores), len(kept))])
    parts = np.arange(len(scores)), hard, kept, easy
    wrong = [100 * mistaken[part].mean() if len(part) else np.nan for part in parts]
    smallest = np.bincount(labels[kept], minlength=num_classes).min()
    return Shares(*wrong, smallest=100 * smallest * num_classes / len(kept))


def table(folder: Path, cache: Path, root: Path | None) -> str:
    """Return a line per encoder, rate and beta: mean and standard deviation over n seeds."""
    found: dict[tuple[str, float, float], list[Shares]] = defaultdict(list)
    for row in read_rows(folder):
        if row.method == "elfs" and row.params["beta"] != "auto":
            found[row.encoder, row.rate, float(row.params["beta"])].append(_of_row(row, folder, cache, root))
    lines = [
        [encoder, f"{100 * rate:.0f} %", f"{beta:g}", str(len(measured))]
        + [_percent(column) for column in zip(*measured, strict=True)]
        for (encoder, rate, beta), measured in sorted(found.items())
    ]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in ([*COLUMNS], ["--"] * len(COLUMNS), *lines))


def _percent(values: tuple[float, ...]) -> str:
    mean, std, *_ = summarize(values)
    return f"{mean:.0f} %" if std is None else f"{mean:.0f} ± {std:.0f} %"


def _of_row(row: Row, folder: Path, cache: Path, root: Path | None) -> Shares:
    call = parse_call(row.dataset)
    params = {key: value for key, value in call.params.items() if key != "pool_size"}
    size = call.params.get("pool_size")
    modifiers = clean_modifiers(call.modifiers)  # the true labels, also of a data set with label noise
    dataset = load_dataset(call.name, params, root=root, download=False, pool_size=size, modifiers=modifiers)
    [key] = [use.key for use in row.stages if use.kind == "pseudo-labels"]
    with np.load(cache / "pseudo-labels" / f"{key}.npz", allow_pickle=False) as stored:
        mistaken = ~right(stored["labels"], dataset.train.labels)
    scores = read_scores(scores_path(folder, row.scores_sha256), sha256=row.scores_sha256)
    kept = read_indices(indices_path(folder, row.cell_id), sha256=row.indices_sha256)
    positions, beta = pool_positions(kept, dataset), float(row.params["beta"])
    return shares(mistaken, scores, positions, beta, dataset.train.labels, dataset.num_classes)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--cache-dir", type=Path, required=True)
    parser.add_argument("--data-root", type=Path)
    given = parser.parse_args()
    print(table(given.folder, given.cache_dir, given.data_root))


if __name__ == "__main__":
    main()
