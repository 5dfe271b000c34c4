"""What ``auto_at.py`` and ``strong_judge.py`` share: their options, and a grid of ``elfs(clustering=kmeans)``."""

from __future__ import annotations

import argparse
from collections.abc import Collection, Sequence
from pathlib import Path

from bench.engine.start import Job, RunOptions
from bench.grid.spec import load_spec

HERE = Path(__file__).parent


def parser_of(script: str, description: str | None, rates: Collection[float] | None = None) -> argparse.ArgumentParser:
    """Return the parser of a script's options; the rate is one of ``rates``, if these are given."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rate", type=float, choices=rates, help="fraction removed")
    parser.add_argument("--data-root", type=Path)
    parser.add_argument("--cache-dir", type=Path)
    parser.add_argument("--weights", help="file of efficientnet_lite0")
    parser.add_argument("--out", type=Path, help=f"default: {script}-RATE.csv beside this script")
    return parser


def elfs_job(given: argparse.Namespace, seeds: Sequence[int], folder: Path) -> Job:
    """Return the checked grid of ``grid.yaml`` with ``elfs(clustering=kmeans)`` alone, at the rate of the options."""
    encoder = f"efficientnet_lite0(size=160{f',weights={given.weights}' if given.weights else ''})"
    spec = load_spec(
        config=HERE / "grid.yaml",
        given={
            "methods": "elfs(clustering=kmeans)",
            "encoders": encoder,
            "rates": str(given.rate),
            "seeds": list(seeds),
        },
    )
    return Job(spec, RunOptions(executor="local", out=folder, data_root=given.data_root, cache_dir=given.cache_dir))
