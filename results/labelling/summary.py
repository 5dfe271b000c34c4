"""Make the tables and the figure of the labelling study from the rows of ``study.py``.

python results/labelling/summary.py           writes summary.csv and summary.svg from rows.csv, beside this file
python results/labelling/summary.py FOLDER    first adds rows of study.py to rows.csv, in the place of earlier ones
"""

from __future__ import annotations

import sys
from collections.abc import Collection
from pathlib import Path

import pandas as pd
from scipy import stats
from study import CLASSES, SLOW

import bench

HERE = Path(__file__).parent
OTHER_MODEL = ("cifar10-small_cnn",)
"""Lines whose final model is not linear, which do not count for the default."""
KEPT = (
    "cell_id",
    "config_sha256",
    "indices_sha256",
    "fingerprint",
    "dataset",
    "encoder",
    "model",
    "method",
    "variant",
    "method_version",
    "selection_code",
    "rate",
    "budget",
    "pool_size",
    "seed",
    "accuracy",
    "class_counts",
    "select_seconds",
    "train_seconds",
    "device",
    "threads",
    "git_revision",
    "git_dirty",
    "created",
)


def collect(folder: Path) -> pd.DataFrame:
    """Return the rows of all lines, with the fields that the tables need and those that identify a row."""
    parts = []
    for line in sorted(path for path in folder.iterdir() if (path / "rows").is_dir()):
        frame = bench.load_rows(line)
        frame = frame[list(KEPT)].assign(line=line.name)
        parts.append(frame.assign(per_class=frame.budget // CLASSES.get(line.name, 10)))
    return pd.concat(parts)[["line", "per_class", *KEPT]]


def summarise(rows: pd.DataFrame) -> pd.DataFrame:
    """Return n, accuracy, difference to random (95 % t interval), classes, seconds by line, labels a class, method."""
    hit = rows.class_counts.map(lambda text: sum(int(count) > 0 for count in str(text).strip("[]").split(",")))
    rows = rows.assign(hit=hit)
    random = rows[rows.method == "random"].set_index(["line", "per_class", "seed"]).accuracy
    keys = pd.MultiIndex.from_frame(rows[["line", "per_class", "seed"]])
    rows = rows.assign(difference=rows.accuracy.to_numpy() - random.reindex(keys).to_numpy())
    found = []
    for (line, per_class, variant), part in rows.groupby(["line", "per_class", "variant"]):
        count = part.difference.notna().sum()
        half = stats.t.ppf(0.975, count - 1) * part.difference.std() / count**0.5 if count > 1 else float("nan")
        mean = part.difference.mean()
        found.append(
            {
                "line": line,
                "per_class": per_class,
                "variant": variant,
                "n": count,
                "accuracy": part.accuracy.mean(),
                "difference": mean,
                "low": mean - half,
                "high": mean + half,
                "classes_hit": part.hit.mean(),
                "seconds": part.select_seconds.median(),
            }
        )
    return pd.DataFrame(found).round(3)


def over_lines(summary: pd.DataFrame, methods: Collection[str]) -> pd.DataFrame:
    """Return the mean difference to random over lines that have all these methods, one column per labels a class."""
    of_these = summary[summary.variant.isin(methods)]
    whole = of_these.groupby(["line", "per_class"]).variant.nunique()
    whole = whole[whole == len(methods)]
    of_these = of_these.set_index(["line", "per_class"]).loc[whole.index].reset_index()
    table = of_these.pivot_table(index="variant", columns="per_class", values="difference", aggfunc="mean")
    table.loc["lines"] = whole.groupby("per_class").size()
    return table.sort_values(table.columns[0], ascending=False).round(2)


def draw(summary: pd.DataFrame, path: Path) -> None:
    """Draw the difference to random against labels a class with its interval, one panel a line."""
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "labelling"
    from matplotlib import pyplot as plt

    lines = list(dict.fromkeys(summary.line))
    columns = 3
    height = len(lines) // columns + 1  # a panel at least is left for the legend
    # One colour and marker for a method: not every line has all of them, and there are ten colours.
    looks = {
        name: {"color": f"C{number % 10}", "marker": "os"[number // 10], "ls": ("-", "--")[number // 10]}
        for number, name in enumerate(sorted({*summary.variant} - {"random"}))
    }
    figure, axes = plt.subplots(height, columns, figsize=(2.7 * columns, 2.9 * height), sharey=True, squeeze=False)
    handles = {}
    for axis, line in zip(axes.flat, lines, strict=False):
        # A block that was stopped may have one or two seeds in a cell.
        shown = (summary.line == line) & (summary.variant != "random") & (summary.n >= 3)
        for variant, part in summary[shown].groupby("variant"):
            spread = (part.high - part.low) / 2
            style = {"ms": 3, "lw": 1, "elinewidth": 0.4, **looks[variant]}
            handles[variant] = axis.errorbar(part.per_class, part.difference, yerr=spread, **style)
        axis.axhline(0, color="black", lw=0.8)
        axis.set(title=line, xscale="log", xlabel="labels a class")
        counts = sorted({*summary.per_class})
        axis.set_xticks(counts, [f"{count:g}" for count in counts], minor=False)
        axis.minorticks_off()
    for axis in axes.flat[len(lines) :]:
        axis.set_axis_off()
    axes[0][0].set(ylim=(-35, 35))
    for row in axes:
        row[0].set_ylabel("accuracy minus random's, points")
    axes.flat[len(lines)].legend(handles.values(), handles, loc="center", fontsize=8, frameon=False)
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})


def main() -> None:
    """Write the CSV files and the figure, and print the tables of README.md."""
    if len(sys.argv) > 1:
        new, before = collect(Path(sys.argv[1])), pd.read_csv(HERE / "rows.csv")
        rows = pd.concat([before[~before.cell_id.isin(new.cell_id)], new])
        rows = rows.sort_values(["line", "variant", "budget", "seed"], kind="stable")
        rows.to_csv(HERE / "rows.csv", index=False, float_format="%.6g")
    rows = pd.read_csv(HERE / "rows.csv")
    summary = summarise(rows)
    summary.to_csv(HERE / "summary.csv", index=False)
    linear = summary[~summary.line.isin(OTHER_MODEL)]
    draw(linear, HERE / "summary.svg")
    # The slow methods have fewer seeds, and not all numbers of labels a class.
    fast = {*linear.variant} - {"random", *SLOW}
    for methods in (fast, {*fast, *SLOW}):
        print(over_lines(linear, methods).to_string(), end="\n\n")
    for line in {*OTHER_MODEL} & {*summary.line}:
        print(line, over_lines(summary[summary.line == line], fast).to_string(), sep="\n")


if __name__ == "__main__":
    main()
