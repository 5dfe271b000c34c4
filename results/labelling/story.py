"""The story of docs/choose-images-to-label.md, ten times: 20 labels, then 20 more, of 300 photographs.

python results/labelling/story.py DATA WEIGHTS      DATA holds imagenette-mini, WEIGHTS is efficientnet_lite0's file
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import numpy as np
from sklearn.linear_model import LogisticRegression

import bench
from bench.grammar import parse_call
from bench.knn import unit_rows
from bench.labelling.items import embed_images
from bench.loading import load_dataset

SEEDS = 10


def main() -> None:
    """Print test accuracy of a logistic regression and classes hit, means over seeds, of both rounds and of random."""
    data, weights = Path(sys.argv[1]), sys.argv[2]
    params = {"path": str((data / "imagenette-mini").resolve()), "size": 160}
    loaded = load_dataset("folder", params, root=None, download=False, pool_size=None, modifiers={})
    encoder = parse_call(f"efficientnet_lite0(size=160,weights={weights})")
    with tempfile.TemporaryDirectory() as cache:
        train, test = (
            unit_rows(
                embed_images(
                    np.asarray(split.images[np.arange(len(split.labels))]),
                    encoder,
                    Path(cache),
                    device="cpu",
                    threads=1,
                )
            )
            for split in (loaded.train, loaded.test)
        )
        found: dict[str, list[tuple[float, int]]] = {}
        for seed in range(SEEDS):
            for method in ("default", "random"):
                labelled = np.empty(0, dtype=np.int64)
                for _ in range(2):
                    given = {"budget": 20, "num_classes": 10, "method": method, "seed": seed, "cache_dir": cache}
                    labelled = np.append(labelled, bench.select(train, labelled=labelled, **given).order)
                    labels = loaded.train.labels[labelled]
                    model = LogisticRegression(C=100, max_iter=1000).fit(train[labelled], labels)
                    score = 100 * float((model.predict(test) == loaded.test.labels).mean())
                    found.setdefault(f"{method}, {len(labelled)} labels", []).append((score, len(set(labels.tolist()))))
    for name, results in found.items():
        scores, classes = np.array(results).T
        spread = f"{scores.mean():.1f} ± {scores.std(ddof=1):.1f} %"
        print(f"{name}: {spread}, {classes.mean():.1f} classes, n = {len(results)}")


if __name__ == "__main__":
    main()
