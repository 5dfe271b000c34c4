"""What identifies stages and cells, of grids that cover every kind: run as a script after a change on purpose.

``python -m tests.stages.golden_keys`` rewrites the file; the changelog then says why everything is computed again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from bench.stages.base import in_order
from bench.stages.selection import Selection
from bench.stages.training import Cell

FILE = Path(__file__).with_name("golden_keys.json")
GRIDS: dict[str, dict[str, Any]] = {
    "demo": {"preset": "demo"},
    "paper-cifar100": {"preset": "paper-cifar100"},
    "every part of the pool": {
        "methods": "full,random,elfs,elfs(num_clusters=estimate,rehearsal=own-pseudo-labels),badge,grand,"
        "prototypicality,kcenter,d2(k=60),elfs(clustering=kmeans)",
        "datasets": "cifar10@noise=0.2@imbalance=10,digits",
        "rates": "0.5,0.9",
        "seeds": 2,
        "encoders": "pixels(size=16),simsiam",
        "models": "small_cnn,linear_probe",
    },
    "a pool, a proxy and a recipe": {
        "methods": "aum,ccs(beta=0.1)",
        "datasets": "cifar10",
        "pool_size": 5000,
        "proxy_model": "resnet18",
        "recipe": {"iterations": 100, "precision": "bf16"},
    },
}


def keys_by_kind(cells: list[Cell]) -> dict[str, list[str]]:
    """Kind -> sorted keys of the stages; of coresets without the digest of the method's code, which edits change."""
    found: dict[str, list[str]] = {"cell": sorted(cell.cell_id for cell in cells)}
    for stage in in_order([stage for cell in cells for stage in cell.stages()]):
        if isinstance(stage, Selection):
            stage = stage.model_copy(update={"code": "0" * 16})
        found.setdefault(stage.kind, []).append(stage.key)
    return {kind: sorted(set(keys)) for kind, keys in sorted(found.items())}


def summary(keys: Iterable[str]) -> str:
    """How many, and a digest."""
    listed = list(keys)
    return f"{len(listed)} {hashlib.sha256(' '.join(listed).encode()).hexdigest()[:16]}"


def present(cells_of: Callable[..., list[Cell]]) -> dict[str, dict[str, str]]:
    """Grid -> kind -> summary, by the code at hand."""
    return {
        name: {kind: summary(keys) for kind, keys in keys_by_kind(cells_of(**given)).items()}
        for name, given in GRIDS.items()
    }


if __name__ == "__main__":
    from tests.grid_fixtures import expanded

    FILE.write_text(json.dumps(present(expanded), indent=1) + "\n")
