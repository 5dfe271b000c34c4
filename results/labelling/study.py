"""Run the labelling study, see PLAN.md: one folder of rows per line below OUT.

python results/labelling/study.py --data-root DATA --weights FILE --out runs/labelling

The same command again runs only what is missing. ``texts.py`` makes the line of texts' file, which DATA must hold;
``summary.py`` makes the tables and the figure.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import bench

METHODS = (
    "random",
    "kmeans-sampling",
    "typiclust",
    "facility-location",
    "probcover",
    "maxherding",
    "d2-label-free",
    "herding",
    "kcenter",
    "graph-cut",
)
SLOW = ("prototypicality", "elfs(clustering=kmeans)", "zcore")
LITE = "efficientnet_lite0(size={size}{weights})"
ALL, FEW = (1, 2, 5, 10, 20, 50, 100), (1, 2, 5, 10, 20)
LINES: dict[str, dict[str, Any]] = {
    "digits": {"datasets": "digits", "pool_size": 1250, "encoders": "pixels"},
    "imagenette": {
        "datasets": "folder(path=imagenette-mini,size=160)",
        "pool_size": 250,
        "encoders": LITE.format(size=160, weights="{weights}"),
    },
    "cifar10": {"datasets": "cifar10", "pool_size": 4000, "encoders": LITE.format(size=96, weights="{weights}")},
    "mnist": {"datasets": "mnist5k", "pool_size": 4000, "encoders": "pixels"},
    "cifar100": {
        "datasets": "npz(path=cifar-100-subset/cifar100_subset_5k_1k.npz)",
        "pool_size": 5000,
        "encoders": LITE.format(size=96, weights="{weights}"),
    },
    "longtail": {
        "datasets": "cifar10@imbalance=20",
        "pool_size": 4000,
        "encoders": LITE.format(size=96, weights="{weights}"),
    },
    "texts": {"datasets": "embeddings(path=fortunes.npz)", "pool_size": 1750, "encoders": "given"},
    "cifar10-simsiam": {"datasets": "cifar10", "pool_size": 4000, "encoders": "simsiam(epochs=20)"},
    "cifar10-small_cnn": {
        "datasets": "cifar10",
        "pool_size": 4000,
        "encoders": LITE.format(size=96, weights="{weights}"),
        "models": "small_cnn",
    },
}
CLASSES = {"cifar100": 100}
PER_CLASS = {"cifar100": FEW, "imagenette": FEW, "texts": (*FEW, 50)}
RECIPE = {"iterations": 300, "proxy_epochs": 30, "evaluations": 1, "precision": "fp32"}
BLOCKS: tuple[tuple[tuple[str, ...], range, tuple[int, ...]], ...] = (
    (METHODS, range(3), FEW),
    (METHODS, range(3, 5), FEW),
    (METHODS, range(3), (50, 100)),
    (SLOW, range(3), FEW),
    (METHODS, range(5, 10), ALL),
    (SLOW, range(3, 5), ALL),
)
"""Methods, seeds and labels a class, most needed first."""


def rates(line: str, per_class: tuple[int, ...]) -> list[float]:
    """Return the fraction removed at each number of labels a class that the line has."""
    size = LINES[line]["pool_size"]
    valid = [each for each in per_class if each in PER_CLASS.get(line, ALL)]
    return [round(1 - each * CLASSES.get(line, 10) / size, 6) for each in valid]


def main() -> None:
    """Run block after block, in each line after line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lines", nargs="+", choices=LINES, default=list(LINES))
    parser.add_argument("--blocks", nargs="+", type=int, choices=range(len(BLOCKS)), default=list(range(len(BLOCKS))))
    parser.add_argument("--out", type=Path, default=Path("runs/labelling"))
    parser.add_argument("--data-root", type=Path)
    parser.add_argument("--cache-dir", type=Path)
    parser.add_argument("--weights", help="file of efficientnet_lite0")
    parser.add_argument("--workers", type=int, default=1)
    given = parser.parse_args()
    weights = f",weights={given.weights}" if given.weights else ""
    for methods, seeds, per_class in (BLOCKS[block] for block in given.blocks):
        for name in given.lines:
            line = LINES[name]
            if not rates(name, per_class):
                continue
            done = bench.run(
                **{"models": "linear_probe", **line, "encoders": line["encoders"].format(weights=weights)},
                methods=methods,
                rates=rates(name, per_class),
                seeds=list(seeds),
                recipe=RECIPE,
                out=given.out / name,
                data_root=given.data_root,
                cache_dir=given.cache_dir,
                workers=given.workers,
                quiet=True,
            )
            print(name, len(done.written), "rows", f"{done.seconds:.0f} s", flush=True)


if __name__ == "__main__":
    main()
