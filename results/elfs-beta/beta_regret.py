"""How far ELFS's own choice of beta is from the best fixed beta: a table and a figure, from rows alone.

python results/elfs-beta/beta_regret.py FOLDER    writes FOLDER/tables/beta_regret.md and FOLDER/tables/beta_regret.png
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from matplotlib.figure import Figure

from bench.errors import BenchError
from bench.results.facts import common
from bench.results.frame import to_frame
from bench.results.rows import Row
from bench.results.stats import Summary, paired_difference, summarize
from bench.results.tables import collect

Accuracies = dict[int, float]
"""Seed -> test accuracy in percent."""


@dataclass
class Rate:
    """All runs at one rate.

    Attributes:
        fixed: beta -> accuracies.
        auto: accuracies with ``beta="auto"``.
        chosen: seed -> the beta that was chosen.
        random: accuracies of the random baseline.
    """

    fixed: dict[float, Accuracies] = field(default_factory=dict)
    auto: Accuracies = field(default_factory=dict)
    chosen: dict[int, float] = field(default_factory=dict)
    random: Accuracies = field(default_factory=dict)

    @property
    def best(self) -> float:
        """The fixed beta with the highest mean accuracy, that is, chosen by test accuracy; of equals the smallest."""
        return max(sorted(self.fixed), key=lambda beta: summarize(list(self.fixed[beta].values())).mean)

    @property
    def regret(self) -> Summary | None:
        """Best fixed beta minus automatic beta at the same seeds, in points; below 0 where auto is better."""
        return paired_difference(self.fixed[self.best], self.auto)


def by_rate(rows: Iterable[Row]) -> dict[float, Rate]:
    """Sort the rows of ``elfs`` and ``random`` by rate, ascending.

    Raises:
        BenchError: a rate has no row with ``beta="auto"``, or none with a fixed beta.
    """
    found: dict[float, Rate] = {}
    for row in rows:
        rate = found.setdefault(row.rate, Rate())
        if row.method == "random":
            rate.random[row.seed] = row.accuracy
        elif row.method == "elfs" and row.params["beta"] == "auto":
            rate.auto[row.seed] = row.accuracy
            rate.chosen[row.seed] = row.chosen["beta"]
        elif row.method == "elfs":
            rate.fixed.setdefault(row.params["beta"], {})[row.seed] = row.accuracy
    for removed, rate in found.items():
        if not rate.auto or not rate.fixed:
            raise BenchError(f"rate {removed:g} lacks rows of elfs with beta=auto or with a fixed beta.")
    return dict(sorted(found.items()))


def table(rates: Mapping[float, Rate], notes: Iterable[str] = ()) -> str:
    """Markdown: one line per rate."""
    lines = [
        "| removed | random | best fixed beta | beta=auto | beta chosen, by seed | regret | auto - random |",
        "| --: | --: | :-- | --: | :-- | --: | --: |",
    ]
    for removed, rate in rates.items():
        chosen = ", ".join(f"{rate.chosen[seed]:g}" for seed in sorted(rate.chosen))
        best = f"{rate.best:g}: {_mean(rate.fixed[rate.best])}"
        gain = _text(paired_difference(rate.auto, rate.random), signed=True)
        lines.append(
            f"| {100 * removed:g} % | {_mean(rate.random)} | {best} | {_mean(rate.auto)} | {chosen} | "
            f"{_text(rate.regret, signed=True)} | {gain} |"
        )
    explained = (
        "Last-iteration test accuracy in percent and differences at the same seed in points, mean ± std over seeds.",
        "Best fixed beta: highest mean test accuracy of the grid, which favours it. Regret: its accuracy minus auto's.",
        *notes,
    )
    return "\n".join([*lines, "", *(f"- {note}" for note in explained), ""])


def figure(rates: Mapping[float, Rate], title: str) -> Figure:
    """Accuracy over beta, one panel per rate, with the automatic choice of every seed and the random baseline."""
    drawing = Figure(figsize=(max(6, 4 * len(rates)), 4), layout="constrained")
    panels = drawing.subplots(1, len(rates), squeeze=False)[0]
    for panel, (removed, rate) in zip(panels, rates.items(), strict=True):
        betas = sorted(rate.fixed)
        found = [summarize(list(rate.fixed[beta].values())) for beta in betas]
        means, spreads = [item.mean for item in found], [item.std or 0.0 for item in found]
        panel.errorbar(betas, means, spreads, marker="o", capsize=3, label="fixed beta, mean ± std")
        seeds = sorted(rate.auto)
        panel.scatter(
            [rate.chosen[seed] for seed in seeds],
            [rate.auto[seed] for seed in seeds],
            marker="*",
            s=120,
            color="tab:red",
            zorder=3,
            label="beta=auto, one per seed",
        )
        if rate.random:
            panel.axhline(
                summarize(list(rate.random.values())).mean, color="grey", linestyle="--", label="random, mean"
            )
        panel.set_title(f"{100 * removed:g} % removed")
        panel.set_xlabel("beta")
        panel.grid(alpha=0.3)
    panels[0].set_ylabel("test accuracy, %")
    # Below the panels, where it hides no point.
    drawing.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=3, fontsize="small")
    drawing.suptitle(title)
    return drawing


def main() -> None:
    """Read one folder of rows and write both files."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="an output folder of bench run")
    folder = parser.parse_args().folder
    try:
        rows = collect([folder])
        rates = by_rate(rows)
    except BenchError as error:
        parser.error(str(error))
    target = folder / "tables"
    target.mkdir(exist_ok=True)
    dates = sorted({row.created[:10] for row in rows})
    text = table(
        rates,
        [
            *(f"{fact}." for fact in common(to_frame(rows))),
            f"Rows made {' and '.join(dict.fromkeys((dates[0], dates[-1])))} (UTC).",
        ],
    )
    (target / "beta_regret.md").write_text(text, encoding="utf-8")
    seeds = len({row.seed for row in rows})
    figure(rates, f"{rows[0].dataset}: elfs over beta, n = {seeds} seeds").savefig(target / "beta_regret.png", dpi=110)
    print(text)


def _mean(accuracies: Accuracies) -> str:
    return _text(summarize(list(accuracies.values())) if accuracies else None)


def _text(summary: Summary | None, *, signed: bool = False) -> str:
    if summary is None:
        return "\N{EN DASH}"
    spread = "" if summary.std is None else f" ± {summary.std:.1f}"
    return f"{summary.mean:{'+' if signed else ''}.1f}{spread}"


if __name__ == "__main__":
    main()
