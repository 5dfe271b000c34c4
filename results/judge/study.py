"""Run lines of the judge study, see PLAN.md: rows with indices and scores below results/judge/LINE.

python results/judge/study.py D E B --data-root DATA --weights FILE     all arms
python results/judge/study.py D --arms fixed --rates 0.9                only random and fixed betas

The same command again runs only what is missing.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import bench

HERE = Path(__file__).parent
LITE = "efficientnet_lite0(size={size}{weights})"
SHORT = {"iterations": 1000, "proxy_epochs": 30, "evaluations": 1, "batch_size": 128, "precision": "bf16"}
OWN = {"proxy_epochs": 30, "evaluations": 1, "precision": "bf16"}
CIFAR100 = "npz(path=cifar-100-subset/cifar100_subset_5k_1k.npz)"
ANOTHER_DRAW = {"pool_size": 5000, "pool_seed": 1}
LINES: dict[str, dict[str, Any]] = {
    "A": {"datasets": CIFAR100, "encoders": 96, "models": "small_cnn", "recipe": SHORT},
    "B": {"datasets": CIFAR100, "encoders": 96, "models": "linear_probe", "recipe": SHORT},
    "C": {"datasets": "digits", "models": "small_cnn", "recipe": SHORT},
    "D": {"datasets": "digits", "models": "linear_probe", "recipe": OWN},
    "E": {
        "datasets": "folder(path=imagenette-mini,size=160)",
        "encoders": 160,
        "models": "linear_probe",
        "recipe": SHORT,
    },
    "F": {"datasets": "cifar10", "pool_size": 1000, "encoders": 96, "models": "small_cnn", "recipe": SHORT},
    "G": {"datasets": "cifar10", "pool_size": 20000, "encoders": 96, "models": "small_cnn", "recipe": SHORT},
    "H96": {"datasets": "cifar10", **ANOTHER_DRAW, "encoders": 96, "models": "small_cnn", "recipe": SHORT},
    "H160": {"datasets": "cifar10", **ANOTHER_DRAW, "encoders": 160, "models": "small_cnn", "recipe": SHORT},
    "Hsimsiam": {"datasets": "cifar10", **ANOTHER_DRAW, "encoders": "simsiam", "models": "small_cnn", "recipe": SHORT},
    "I": {"datasets": "cifar10", "encoders": 160, "models": "small_cnn", "recipe": SHORT},
}
RATES = {"G": (0.7, 0.9), "I": (0.9,)}
SEEDS = {"G": 3, "I": 3}
ARMS = ("fixed", "own", "ridge", "network", "auto")


def methods(arm: str, rate: float) -> list[str]:
    """Return the methods of an arm; fixed betas are the tenths up to the rate."""
    if arm == "own":
        return ["elfs(clustering=kmeans,rehearsal=own-pseudo-labels)"]
    if arm == "ridge":
        return ["elfs(clustering=kmeans,rehearsal=ridge)", "elfs(clustering=kmeans,rehearsal=ridge,guard=false)"]
    if arm == "network":
        return ["elfs(clustering=kmeans,rehearsal=network)"]
    if arm == "auto":
        return ["auto", "d2-label-free", "facility-location", "kmeans-sampling", "typiclust"]
    return ["random", *(f"elfs(clustering=kmeans,beta={tenth / 10:g})" for tenth in range(round(10 * rate) + 1))]


def fields_of(name: str, weights: str | None) -> dict[str, Any]:
    """Return the fields of a line's grid, with the file of efficientnet_lite0's weights if one is given."""
    line = dict(LINES[name])
    if isinstance(line.get("encoders"), int):
        line["encoders"] = LITE.format(size=line["encoders"], weights=f",weights={weights}" if weights else "")
    return line


def main() -> None:
    """Run what was named, line after line, rate after rate."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("lines", nargs="+", choices=LINES)
    parser.add_argument("--arms", nargs="+", choices=ARMS, default=ARMS)
    parser.add_argument("--rates", nargs="+", type=float, help="default: the line's")
    parser.add_argument("--seeds", type=int, help="the first so many; default: the line's")
    parser.add_argument("--out", type=Path, default=HERE, help="where the lines' folders are; default: beside this")
    parser.add_argument("--data-root", type=Path)
    parser.add_argument("--cache-dir", type=Path)
    parser.add_argument("--weights", help="file of efficientnet_lite0")
    parser.add_argument("--workers", type=int, default=1)
    given = parser.parse_args()
    for name in given.lines:
        line = fields_of(name, given.weights)
        for rate in given.rates or RATES.get(name, (0.5, 0.7, 0.9)):
            bench.run(
                **line,
                methods=[method for arm in given.arms for method in methods(arm, rate)],
                rates=[rate],
                seeds=given.seeds or SEEDS.get(name, 5),
                out=given.out / name,
                data_root=given.data_root,
                cache_dir=given.cache_dir,
                workers=given.workers,
                quiet=True,
            )


if __name__ == "__main__":
    main()
