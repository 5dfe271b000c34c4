"""What the judge study found, from its rows alone: tables and a figure.

python results/judge/report.py    writes judge.md and judge.svg beside itself, and the tables of docs/label-free-beta.md
"""

from __future__ import annotations

import argparse
import csv
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from matplotlib import rc_context
from matplotlib.figure import Figure
from scipy.stats import spearmanr

from bench.grammar import parse_call
from bench.plugins import models
from bench.results.rows import Row, read_rows
from bench.results.stats import Summary, paired_difference, summarize

HERE = Path(__file__).parent
PAGE = HERE.parents[1] / "docs" / "label-free-beta.md"
START, END = "<!-- tables of results/judge/report.py -->\n", "<!-- end of these tables -->"
NONE = "\N{EN DASH}"
SEEN_BEFORE = ("C",)
"""Lines that were looked at before the plan, which do not count."""
Accuracies = dict[int, float]
"""Seed -> test accuracy in percent."""
OWN, RIDGE, UNGUARDED, NETWORK = "own rehearsal", "ridge", "ridge, no guard", "network"
FOR_THE_JUDGE = ("labelings", "judge-features")
"""Kinds of stages that nothing but a judge reads."""
JUDGED = (RIDGE, NETWORK)
BY_SIZE = "ridge or network"
RULE, MMD, BEST = "rate - 0.3", "MMD", "best fixed beta"
AUTO = "auto"
INPUTS = ("images", "embeddings")
"""What the ridge judge can see of a coreset, whatever the final model reads."""
ARMS = (OWN, RIDGE, UNGUARDED, NETWORK, BY_SIZE, RULE, MMD, BEST)


@dataclass
class Line:
    """All runs of one line of the plan at one rate.

    Attributes:
        name: of the plan.
        rate: fraction removed.
        first: a row, which says how all were made.
        arms: arm of ELFS, ``random``, or another method -> accuracies.
        fixed: beta -> accuracies.
        judged: judge -> seed -> candidate -> what the judge said.
        taken: arm -> seed -> the candidate that was taken.
        mmd: seed -> the fixed beta that the discrepancy to the pool chooses.
        seen: ``ridge on`` an input -> seed -> fixed beta, or None for ``random`` -> what the ridge says by that input.
        cost: arm -> seed -> seconds of the choice, with all that is computed for the judge alone, over those of the
            final training.
    """

    name: str
    rate: float
    first: Row
    arms: dict[str, Accuracies] = field(default_factory=dict)
    fixed: dict[float, Accuracies] = field(default_factory=dict)
    judged: dict[str, dict[int, Mapping[str, float]]] = field(default_factory=dict)
    taken: dict[str, dict[int, str]] = field(default_factory=dict)
    mmd: dict[int, float] = field(default_factory=dict)
    seen: dict[str, dict[int, dict[float | None, float]]] = field(default_factory=dict)
    cost: dict[str, dict[int, float]] = field(default_factory=dict)

    @property
    def reads(self) -> str:
        """What the final model reads: ``images`` or ``embeddings``."""
        return models.get(parse_call(self.first.model).name).info.inputs

    @property
    def judge(self) -> str:
        """The judge that the plan's rule takes here: the network, where it reads 2,500 images or more."""
        return NETWORK if self.reads == "images" and self.first.budget >= 2_500 else RIDGE

    @property
    def best(self) -> float:
        """The fixed beta with the highest mean accuracy, that is, chosen by test accuracy; of equals the smallest."""
        return max(sorted(self.fixed), key=lambda beta: summarize(list(self.fixed[beta].values())).mean)

    def of(self, arm: str) -> Accuracies:
        """Accuracies of an arm; empty where it was not run."""
        if arm == BEST:
            return self.fixed[self.best] if self.fixed else {}
        if arm == RULE:
            return self.fixed.get(max(0.0, round(self.rate - 0.3, 4)), {})
        if arm == MMD:
            return {seed: self.fixed[beta][seed] for seed, beta in self.mmd.items()}
        if arm in self.seen:
            return {seed: self.fixed[_highest(said)][seed] for seed, said in self.seen[arm].items()}
        return self.arms.get(self.judge if arm == BY_SIZE else arm, {})

    def gain(self, arm: str) -> Summary | None:
        """Arm minus random at the same seeds, in points."""
        return paired_difference(self.of(arm), self.of("random"))

    def regret(self, arm: str) -> Summary | None:
        """Best fixed beta minus the arm at the same seeds, in points."""
        return paired_difference(self.of(BEST), self.of(arm))

    def points(self, judge: str) -> list[tuple[float, float]]:
        """Pairs of what the judge said and test accuracy, of fixed betas and of random coresets, at each seed.

        Of random coresets it is the judge's mean over five of them beside the accuracy of the method ``random``; for
        ``ridge on`` an input it is what the ridge says of that method's own coreset.
        """
        found = []
        for seed, by_beta in self.seen.get(judge, {}).items():
            found += [
                (value, self.of("random")[seed] if beta is None else self.fixed[beta][seed])
                for beta, value in by_beta.items()
            ]
        for seed, said in self.judged.get(judge, {}).items():
            by_chance = [value for name, value in said.items() if name.startswith("random ")]
            if by_chance and seed in self.of("random"):
                found.append((sum(by_chance) / len(by_chance), self.of("random")[seed]))
            values = {beta: said.get(f"beta={beta:g}") for beta in self.fixed}
            found += [
                (value, self.fixed[beta][seed])
                for beta, value in values.items()
                if value is not None and seed in self.fixed[beta]
            ]
        return found

    def spearman(self, judge: str) -> float | None:
        """Rank correlation of ``points``."""
        points = self.points(judge)
        return float(spearmanr(points).statistic) if len(points) > 2 else None


def by_line(
    rows: Mapping[str, Iterable[Row]], mmd: Iterable[Mapping[str, str]] = (), inputs: Iterable[Mapping[str, str]] = ()
) -> list[Line]:
    """Sort rows by line and rate.

    Args:
        rows: line -> its rows.
        mmd: rows of ``mmd.csv``.
        inputs: rows of ``inputs.csv``.
    """
    found: dict[tuple[str, float], Line] = {}
    for name, row in ((name, row) for name, made in sorted(rows.items()) for row in made):
        line = found.setdefault((name, row.rate), Line(name, row.rate, row))
        beta = row.params.get("beta")
        if row.method == "elfs" and beta != "auto":
            line.fixed.setdefault(float(beta), {})[row.seed] = row.accuracy
            continue
        arm = _arm(row)
        line.arms.setdefault(arm, {})[row.seed] = row.accuracy
        line.cost.setdefault(arm, {})[row.seed] = _cost(row)
        if row.judged:
            line.taken.setdefault(arm, {})[row.seed] = row.taken
            line.judged.setdefault(arm, {})[row.seed] = row.judged
    smallest: dict[tuple[str, float, int], float] = {}
    for entry in mmd:
        place, value = (entry["line"], float(entry["rate"]), int(entry["seed"])), float(entry["discrepancy"])
        if value < smallest.get(place, math.inf):
            smallest[place] = value
            found[place[:2]].mmd[place[2]] = float(entry["beta"])
    for entry in inputs:
        seen = found[entry["line"], float(entry["rate"])].seen
        beta = float(entry["beta"]) if entry["beta"] else None
        for name in INPUTS:
            seen.setdefault(f"ridge on {name}", {}).setdefault(int(entry["seed"]), {})[beta] = float(entry[name])
    return [found[key] for key in sorted(found)]


def _highest(said: Mapping[float | None, float]) -> float:
    """Return the fixed beta of which the judge says most; of equals the smallest."""
    return max(sorted(beta for beta in said if beta is not None), key=said.__getitem__)


def _cost(row: Row) -> float:
    own = sum(use.seconds for use in row.stages if use.kind in FOR_THE_JUDGE)
    return (row.select_seconds + own) / row.train_seconds


def _arm(row: Row) -> str:
    if row.method != "elfs":
        return row.method
    rehearsal = row.params.get("rehearsal", "own-pseudo-labels")
    if rehearsal == "own-pseudo-labels":
        return OWN
    return rehearsal if row.params.get("guard", True) else f"{rehearsal}, no guard"


def gains(lines: Sequence[Line]) -> str:
    """Markdown: differences to random."""
    rows = [
        [*_where(line), _mean(line.of("random")), *(_interval(line.gain(arm)) for arm in ARMS[:-1]), _best(line)]
        for line in lines
    ]
    return _table(["line", "removed", "n", "random", *ARMS[:-1], f"{BEST} (by test accuracy)"], rows)


def regrets(lines: Sequence[Line]) -> str:
    """Markdown: how far each choice is below the best fixed beta, how well the judges rank, what the guard did."""
    arms = (OWN, *JUDGED, RULE, MMD)
    rows = []
    for line in lines:
        ranks = [line.spearman(judge) for judge in JUDGED]
        guarded = [f"{_by_chance(line, judge)} of {len(line.taken.get(judge, {}))}" for judge in JUDGED]
        texts = [NONE if rank is None else f"{rank:+.2f}" for rank in ranks]
        rows.append([*_where(line), *(_plain(line.regret(arm)) for arm in arms), *texts, *guarded])
    heads = [*(f"regret: {arm}" for arm in arms), *(f"Spearman: {judge}" for judge in JUDGED)]
    return _table(["line", "removed", "n", *heads, *(f"took random: {judge}" for judge in JUDGED)], rows)


def methods(lines: Sequence[Line]) -> str:
    """Markdown: ``auto`` beside its candidates, as differences to random."""
    rows = []
    for line in lines:
        if line.of(AUTO):
            taken = ", ".join(sorted(set(line.taken[AUTO].values())))
            columns = [_interval(line.gain(name)) for name in (AUTO, *candidates(line))]
            rows.append([*_where(line), *columns, taken.replace("elfs(clustering=kmeans,rehearsal=judge)", "elfs")])
    names = candidates(next(line for line in lines if line.of(AUTO))) if rows else []
    return _table(["line", "removed", "n", AUTO, *names, "auto took"], rows)


def candidates(line: Line) -> list[str]:
    """Arms that are candidates of ``auto``, that of ELFS with the judge which the rule takes."""
    return [*sorted(name for name in line.arms if name not in (*ARMS, "random", AUTO)), BY_SIZE]


def inputs(lines: Sequence[Line]) -> str:
    """Markdown: how the ridge ranks and chooses fixed betas by either input, line by line and by final model."""
    arms = [f"ridge on {name}" for name in INPUTS]
    run = [line for line in lines if line.seen]
    rows = [
        [*_where(line), line.reads, *(f"{line.spearman(arm):+.2f}" for arm in arms)]
        + [_plain(line.regret(arm)) for arm in arms]
        for line in run
    ]
    heads = ["line", "removed", "n", "final model reads"]
    heads += [f"{what}: {arm}" for what in ("Spearman", "regret") for arm in arms]
    counted = [line for line in run if line.name not in SEEN_BEFORE]
    text = []
    for name in INPUTS:
        own = [line for line in counted if line.reads == name]
        regrets = [[found.mean for line in own if (found := line.regret(arm)) is not None] for arm in arms]
        if own:
            text.append([name, str(len(own)), *(f"{_average(values):.2f}" for values in regrets)])
    means = _table(["final model reads", "lines that count", *(f"mean regret: {arm}" for arm in arms)], text)
    return f"{means}\n{_table(heads, rows)}"


def costs(lines: Sequence[Line]) -> str:
    """Markdown: what a choice costs beside one final training, median over seeds."""
    arms = (OWN, *JUDGED)
    rows = [
        [*_where(line), *(f"{median(line.cost[arm].values()):.2f}" if arm in line.cost else NONE for arm in arms)]
        for line in lines
    ]
    return _table(["line", "removed", "n", *arms], rows)


def summary(lines: Sequence[Line]) -> str:
    """Markdown: the plan's criteria, over the lines that count."""
    counted = [line for line in lines if line.name not in SEEN_BEFORE]
    text = []
    for arm in ARMS[:-1]:
        found = [gain for line in counted if (gain := line.gain(arm)) is not None]
        regret = [value.mean for line in counted if (value := line.regret(arm)) is not None]
        if found:
            below = sum(gain.mean < 0 for gain in found)
            surely = sum(_surely_below(gain) for gain in found)
            text.append(
                [arm, str(len(found)), str(below), str(surely), f"{_average(regret):.2f}", f"{max(regret):.2f}"]
            )
    heads = ["choice of beta", "lines", "mean below random", "significantly below", "mean regret", "largest regret"]
    tables = [_table(heads, text)]
    run = [line for line in counted if line.of(AUTO) and all(line.of(name) for name in candidates(line))]
    if run:
        best = [max(_average(line.of(name).values()) for name in candidates(line)) for line in run]
        mine = [_average(line.of(AUTO).values()) for line in run]
        near = sum(own >= other - 0.5 for own, other in zip(mine, best, strict=True))
        level = sum(own >= other for own, other in zip(mine, best, strict=True))
        surely = sum(_surely_below(gain) for line in run if (gain := line.gain(AUTO)) is not None)
        tables.append(
            f"`auto` is at most 0.5 points below its best candidate (by test accuracy) on {near} of {len(run)} lines, "
            f"and not below it on {level}. It is significantly below random on {surely}.\n"
        )
    return "\n".join(tables)


def figure(lines: Sequence[Line]) -> Figure:
    """Draw what the ridge judge said against test accuracy, one panel per line of the plan, one colour per rate."""
    names = sorted({line.name for line in lines if line.points(RIDGE)})
    columns = max(1, min(len(names), 3))
    height = max(1, math.ceil(len(names) / columns))
    drawing = Figure(figsize=(4 * columns, 3.8 * height), layout="constrained")
    panels = drawing.subplots(height, columns, squeeze=False).flat
    colours = {rate: f"C{place}" for place, rate in enumerate(sorted({line.rate for line in lines}))}
    handles = {}
    for panel in panels[len(names) :]:
        panel.set_axis_off()
    for panel, name in zip(panels, names, strict=False):
        for line in (line for line in lines if line.name == name):
            if points := line.points(RIDGE):
                dots = panel.scatter(*zip(*points, strict=True), s=14, color=colours[line.rate])
                handles[f"{100 * line.rate:g} % removed"] = dots
        first = next(line.first for line in lines if line.name == name)
        panel.set_title(
            f"{name}: {first.dataset.partition('(')[0]}, N = {first.pool_size:,}, {first.model}", fontsize=9
        )
        panel.set_xlabel("ridge judge: accuracy on clusterings")
        panel.grid(alpha=0.3)
        panel.set_ylabel("test accuracy, %")
    drawing.legend(handles.values(), handles, loc="outside lower center", ncols=len(handles))
    return drawing


def document(lines: Sequence[Line]) -> str:
    """All tables, with what made them."""
    rows = [line.first for line in lines]
    made, devices = sorted({row.created[:10] for row in rows}), sorted({row.device for row in rows})
    parts = [
        "A line is a data set with its pool, an encoder, a final model and the percentage removed. [The plan](PLAN.md)"
        " says what each letter stands for, and which lines count.\n",
        "## Summary over the lines that count\n\n" + summary(lines),
        "## Differences to random\n\nIn points, at the same seed: mean and 95 % t interval.\n\n" + gains(lines),
        "## Regret, rank correlation, guard\n\n"
        "Regret: best fixed beta (by test accuracy) minus the choice, in points.\n\n" + regrets(lines),
        "## `auto` and its candidates\n\n"
        "Differences to random in points, at the same seed: mean and 95 % t interval.\n\n" + methods(lines),
        "## The judge's input\n\n"
        "The ridge judge of the committed coresets (`random` and the fixed betas), without guard, by either input "
        "(`inputs.py`, added after the runs).\n\n" + inputs(lines),
        "## Cost\n\n"
        "Seconds to choose beta, divided by the seconds of a final training: median over seeds (busy machine).\n\n"
        + costs(lines),
        f"Rows made {' to '.join(dict.fromkeys((made[0], made[-1])))} (UTC) on {', '.join(devices)}.\n",
    ]
    return "\n".join(parts)


def on_page(page: str, lines: Sequence[Line]) -> str:
    """Return the page with the tables that these lines make in the place of those that it has."""
    before, _, rest = page.partition(START)
    _, _, after = rest.partition(END)
    tables = [
        "All lines that count:\n\n" + summary(lines),
        "Differences to random, by line:\n\n" + gains(lines),
        "Regret, rank correlation with test accuracy, and how often the guard took a random coreset:\n\n"
        + regrets(lines),
        "`auto` and its candidates, as differences to random:\n\n" + methods(lines),
    ]
    return before + START + "\n" + "\n".join(tables) + "\n" + END + after


def read(folder: Path) -> list[Line]:
    """Return the lines whose rows lie below ``folder``."""
    rows = {path.parent.name: list(read_rows(path.parent)) for path in sorted(folder.glob("*/rows"))}
    mmd, inputs = (
        list(csv.DictReader(path.read_text(encoding="utf-8").splitlines())) if path.exists() else []
        for path in (folder / "mmd.csv", folder / "inputs.csv")
    )
    return by_line(rows, mmd, inputs)


def main() -> None:
    """Read the rows and write both files."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=HERE, help="where the lines' folders are")
    folder = parser.parse_args().folder
    lines = read(folder)
    (folder / "judge.md").write_text(document(lines), encoding="utf-8")
    with rc_context({"svg.hashsalt": "judge"}):
        figure(lines).savefig(folder / "judge.svg", metadata={"Date": None})
    if folder == HERE:
        PAGE.write_text(on_page(PAGE.read_text(encoding="utf-8"), lines), encoding="utf-8")
    print(document(lines))


def _where(line: Line) -> list[str]:
    return [line.name, f"{100 * line.rate:g} %", str(len(line.of("random")))]


def _by_chance(line: Line, judge: str) -> int:
    return sum(taken.startswith("random ") for taken in line.taken.get(judge, {}).values())


def _surely_below(gain: Summary) -> bool:
    return gain.ci_high is not None and gain.ci_high < 0


def _best(line: Line) -> str:
    return f"{line.best:g}: {_interval(line.gain(BEST))}" if line.fixed else NONE


def _mean(accuracies: Accuracies) -> str:
    return f"{_average(accuracies.values()):.1f}" if accuracies else NONE


def _average(values: Iterable[float]) -> float:
    listed = list(values)
    return sum(listed) / len(listed)


def _interval(found: Summary | None) -> str:
    if found is None:
        return NONE
    if found.ci_low is None:
        return f"{found.mean:+.1f}"
    return f"{found.mean:+.1f} [{found.ci_low:+.1f}, {found.ci_high:+.1f}]"


def _plain(found: Summary | None) -> str:
    return NONE if found is None else f"{found.mean:.1f}"


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [f"| {' | '.join(heads)} |", f"| {' | '.join(['--:'] * len(heads))} |"]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows), ""])


if __name__ == "__main__":
    main()
