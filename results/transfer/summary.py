"""Table of the transfer study, from the rows below a folder: ``python results/transfer/summary.py [FOLDER]``.

Writes transfer.md beside the rows.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pandas as pd

import bench
from bench.results.stats import Summary, paired_difference

HERE = Path(__file__).parent


def differences(rows: pd.DataFrame) -> pd.DataFrame:
    """Return accuracy minus random's of the same final model and seed, a row by method and proxy, a column by model."""
    random = {model: by_seed(part) for model, part in rows[rows.method == "random"].groupby("model")}
    found = [
        {
            "method": variant,
            "proxy": proxy,
            "model": model,
            "text": shown(paired_difference(by_seed(part), random[model])),
        }
        for (variant, proxy, model), part in rows[rows.method != "random"].groupby(["variant", "proxy_model", "model"])
    ]
    return pd.DataFrame(found).pivot(index=["method", "proxy"], columns="model", values="text").reset_index()


def own_proxy(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the accuracy with the final model's own network as proxy minus the mean over the other proxies."""
    found = []
    for (variant, model), part in rows[rows.method != "random"].groupby(["variant", "model"]):
        own = part.proxy_model == model
        others = part[~own].groupby("seed").accuracy.mean().to_dict()
        found.append({"method": variant, "model": model, "text": shown(paired_difference(by_seed(part[own]), others))})
    return pd.DataFrame(found).pivot(index="method", columns="model", values="text").reset_index()


def by_seed(rows: pd.DataFrame) -> dict[int, float]:
    """Return seed -> accuracy of rows that differ in the seed alone."""
    return rows.set_index("seed").accuracy.to_dict()


def shown(difference: Summary | None) -> str:
    """Write a difference with its 95 % interval, where it has one."""
    if difference is None:
        return "-"
    if difference.ci_low is None:
        return f"{difference.mean:+.1f}"
    return f"{difference.mean:+.1f} [{difference.ci_low:+.1f}, {difference.ci_high:+.1f}]"


def as_markdown(table: pd.DataFrame) -> str:
    """Write a table of texts, without the package that pandas asks for."""
    lines = [list(table.columns), ["--"] * len(table.columns), *table.to_numpy().tolist()]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def main(folder: Path) -> None:
    """Write the tables."""
    rows = pd.concat([bench.load_rows(path.parent) for path in sorted(folder.glob("*/rows"))])
    random = rows[rows.method == "random"].groupby("model").accuracy.mean()
    parts = [
        "Does a coreset that was chosen with one network serve another? PLAN.md beside this file has the setting:"
        " CIFAR-10, 90 % of the pool removed, 3 seeds.",
        "## Accuracy against random",
        "A method chooses by the training of a proxy (second column); a final model, one to a column, is then trained"
        " on the coreset. A field is the final model's test accuracy minus that on random images at the same seed: the"
        " mean over the seeds, in points, and its 95 % t interval. The method is shown to be better than random only"
        " where the whole interval lies above 0.",
        "Mean accuracy on random images: "
        + ", ".join(f"{model} {value:.1f} %" for model, value in random.items())
        + ".",
        as_markdown(differences(rows)),
        "## The final model as its own proxy",
        "What does it bring to choose with the network that is trained in the end? A field is the accuracy with that"
        " network as the proxy minus the mean over the two other proxies at the same seed: again the mean over the"
        " seeds, in points, and its 95 % t interval. Where the whole interval lies above 0, the own network is the"
        " better proxy.",
        as_markdown(own_proxy(rows)),
    ]
    (folder / "transfer.md").write_text("\n\n".join(parts) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE)
