"""What a reader must know to read a table, as pairs of a label and a value."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, TypeVar

from bench.grammar import family
from bench.identity import NO_ENCODER, NO_PROXY
from bench.modifiers import describe
from bench.results.block import FULL, Block, Line
from bench.results.frame import named
from bench.results.planned import missing_words
from bench.results.rendering import MISSING, WARNING, Fact
from bench.results.reported import Reported, not_run, protocol_of, same_encoder, tuned
from bench.results.stats import summarize
from bench.results.tables import dataset_modifiers, parameters
from bench.units import counted

if TYPE_CHECKING:
    import pandas as pd

METRIC = {"last": "last-iteration test accuracy", "best": "best test accuracy seen during training"}
_DIGITISED_ERROR = 0.1
_CODED = ["dataset", "model", "encoder", "method", "params", "variant", "rate", "seed", "selection_code"]
_TRAINED = {"none": "not pretrained", "self-supervised": "self-supervised", "language": "trained with captions"}
T = TypeVar("T")
K = TypeVar("K")


def table_facts(block: Block) -> list[Fact]:
    """Return what was measured, on what, and what is not comparable in an accuracy table."""
    means = block.means[block.means["method"] != FULL]
    dates = sorted(block.cells["created"].str[:10])
    facts = [
        Fact("Accuracy", f"{METRIC[block.metric]} in percent, {_seeds(block)}; columns: percent of the pool removed")
    ]
    facts += [*incomplete(block), *_setting(block)]
    weighted = [line.label for line in block.lines if block.cells_of(line)["weighted"].any()]
    if weighted:
        text = "training multiplies each image's loss by the weight that the method gave it"
        facts.append(Fact("Weighted", f"{', '.join(weighted)}: {text}"))
    facts += common(block.cells)
    facts.append(Fact("Rows made", f"{' to '.join(dict.fromkeys((dates[0], dates[-1])))} (UTC)"))
    if means["best"].any():
        facts.append(
            Fact("Bold", "best of a column among methods that read no labels, and among those that read labels")
        )
    if not means["n"].all():
        facts.append(Fact(MISSING, "missing, no row"))
    if len(block.averages) and not means["complete"].all():
        facts.append(Fact("Avg", "mean over the columns, only for methods that have all seeds in each of them"))
    facts += [*other_seeds(block), *label_leak(block)]
    set_by_user = [(line.label, parameters(line.variant)) for line in block.lines if line.label != line.variant]
    facts += [Fact(label, text) for label, text in set_by_user if text]
    facts += [*chosen_facts(block), *_pseudo_labels(block)]
    return facts + (_reported_facts(block) if block.compare else [])


def common(cells: pd.DataFrame) -> list[Fact]:
    """Return what holds for all rows of a table: hardware, protocol and data; without dates, so that it is stable."""
    facts = [Fact("Trained on", ", ".join(sorted(cells["device"].unique())))]
    facts += [Fact("Protocol", f"version {cells['protocol'].iloc[0]}"), *_precisions(cells)]
    modifiers = {dataset: dataset_modifiers(dataset) for dataset in sorted(cells["dataset"].unique())}
    facts += [Fact(dataset, describe(given)) for dataset, given in modifiers.items() if given]
    scales = sorted(cells["recipe_scale"].unique())
    # A scaled run is no result of the protocol, and its table must say so wherever it is copied.
    if scales[0] < 1:
        factors = " and ".join(f"{scale:g}" for scale in scales)
        facts.append(Fact("Scaled", f"iterations and proxy epochs times {factors}, not the full protocol"))
    return facts + other_code(cells)


def incomplete(block: Block) -> list[Fact]:
    """Say which cells were asked for and have no row, and that some methods are left out."""
    words = missing_words(block.planned, block.points)
    facts = [Fact("Incomplete", words)] if words else []
    # Ranks and p-values would be others with the methods that are left out.
    if block.hidden:
        here = len(block.all_lines)
        facts.append(Fact("Methods", f"{here} of the {here + block.hidden} in these rows, compared among themselves"))
    return facts


def other_code(cells: pd.DataFrame) -> list[Fact]:
    """Warn of methods with coresets that were selected by different code, over which a mean is taken."""
    named: dict[str, list[str]] = {}
    known = cells.loc[cells["selection_code"] != "", _CODED]
    # By what a mean is taken over: rates and seeds of one method with its parameters, which are dicts and have no hash.
    lines = ["dataset", "model", "encoder", "method", "params"]
    for _, line in known.assign(params=known["params"].map(repr)).groupby(lines, sort=False):
        if line["selection_code"].nunique() > 1:
            by_code = line.groupby("selection_code", sort=False)
            parts = "; ".join(_places(same) for _, same in by_code)
            # Methods of a folder that went on with other code have the same parts: one warning names them all.
            named.setdefault(parts, []).append(family(line["variant"].iloc[0]))
    return [
        Fact(WARNING, f"the coresets of {', '.join(dict.fromkeys(names))} were selected by different code: {parts}")
        for parts, names in named.items()
    ]


def other_seeds(block: Block) -> list[Fact]:
    """Name each method that was run at seeds at which the block's methods are not compared."""
    facts = []
    for line in block.lines:
        odd = [one for one in block.means_of(line) if not set(one.seeds) <= set(block.seeds)]
        for seeds, points in _grouped(odd, lambda one: tuple(one.seeds)).items():
            text = (
                f"{line.label} was run at the {_numbered('seed', seeds)} at "
                f"{', '.join(f'{100 * one.rate:g} %' for one in points)}, not at the "
                f"{_numbered('seed', block.seeds)} of the others: it is neither best nor averaged nor ranked there"
            )
            facts.append(Fact("Other seeds", text))
    return facts


def label_leak(block: Block) -> list[Fact]:
    """Warn where methods that read no label rest on an encoder that was trained with labels."""
    names = [line.label for line in block.lines if line.encoder != NO_ENCODER and line.supervision != "labels"]
    if _encoder_supervision(block) != "labels" or not names:
        return []
    rest = "rests" if len(names) == 1 else "rest"
    text = (
        f"the encoder {block.encoder} was trained with labels (of its own training set); {', '.join(names)} {rest} "
        "on it and so cannot be called free of labels without this remark"
    )
    return [Fact(WARNING, text)]


def chosen_facts(block: Block) -> list[Fact]:
    """Return what methods chose themselves, by seed, one fact for each method and parameter."""
    taken = _taken(block)
    # What a judge took names beta too, and at every seed: chosen alone would leave out the guard's random coresets.
    told = {(fact.label, "beta") for fact in taken}
    facts = []
    for line in block.lines:
        cells = block.cells_of(line)
        choices = sorted(
            (rate, name, seed, value)
            for rate, seed, chosen in zip(cells["rate"], cells["seed"], cells["chosen"], strict=True)
            for name, value in chosen.items()
        )
        for name, of_name in _grouped(choices, lambda choice: choice[1]).items():
            at_rates = _grouped(of_name, lambda choice: choice[0]).items()
            text = "; ".join(f"{', '.join(f'{one[3]:g}' for one in at)} at {100 * rate:g} %" for rate, at in at_rates)
            if (f"{line.label} took, by seed", name) not in told:
                facts.append(Fact(f"{line.label} chose {name}, by seed", text))
    return facts + taken


def _taken(block: Block) -> list[Fact]:
    """Say which candidates judged methods took, where one was no beta: another method, or a guard's random coreset."""
    facts = []
    for line in block.lines:
        cells = block.cells_of(line)
        taken = [(rate, name) for rate, name in zip(cells["rate"], cells["taken"], strict=True) if name]
        if not all(name.startswith("beta=") for _, name in taken):
            words = [(rate, re.sub(r"^random \d+$", "a random coreset", name)) for rate, name in taken]
            at_rates = _grouped(words, lambda one: one[0]).items()
            text = "; ".join(f"{', '.join(name for _, name in at)} at {100 * rate:g} %" for rate, at in at_rates)
            facts.append(Fact(f"{line.label} took, by seed", text))
    return facts


def doubtful(number: Reported) -> bool:
    """Whether a number is marked: a digitised point that lies below the figure or behind other curves."""
    return number.error is not None and number.error > _DIGITISED_ERROR


def _grouped(items: Iterable[T], key: Callable[[T], K]) -> dict[K, list[T]]:
    """Items by key, in the order of their first appearance."""
    groups: dict[K, list[T]] = {}
    for item in items:
        groups.setdefault(key(item), []).append(item)
    return groups


def _places(cells: pd.DataFrame) -> str:
    """``seeds 0, 1 at 50, 90 %``."""
    rates = ", ".join(f"{100 * rate:g}" for rate in sorted(cells["rate"].unique()))
    return f"{_numbered('seed', sorted(cells['seed'].unique()))} at {rates} %"


def _numbered(noun: str, numbers: Sequence[int]) -> str:
    return f"{noun}{'s' * (len(numbers) != 1)} {', '.join(map(str, numbers))}"


def _precisions(cells: pd.DataFrame) -> list[Fact]:
    """Say what was not trained in fp32; where a table has both, the models and data sets of each."""
    # Rows of the first revisions say ``auto``, which was fp32 on the CPUs that trained them.
    trained = (cells["model"] + " on " + cells["dataset"]).groupby(cells["recipe_precision"].replace("auto", "fp32"))
    if set(trained.groups) == {"fp32"}:
        return []
    texts = [f"{name} ({', '.join(sorted(where.unique()))})" if len(trained) > 1 else name for name, where in trained]
    return [Fact("Precision", ", ".join(texts))]


def _seeds(block: Block) -> str:
    names = sorted(block.cells["seed"].unique())
    listed = ", ".join(map(str, names))
    # A block of the full data alone has no seeds that methods are compared at.
    most = len(block.seeds) or len(names)
    if not block.means["n"].isin([0, most]).all():
        listed = f"seeds used: {listed}; n = {most} where no n is shown"
    elif len(names) > most:
        listed = f"seeds used: {listed}"
    return f"mean ± std over n = {most} seeds ({listed})" if most > 1 else f"one seed per cell ({listed}), so no std"


def _encoder_supervision(block: Block) -> str:
    own = block.cells.loc[block.cells["encoder"] != NO_ENCODER, "encoder_supervision"]
    return NO_ENCODER if own.empty else own.iloc[0]


def _setting(block: Block) -> list[Fact]:
    """Pool, encoder, model and proxy."""
    first = next(named(block.cells))
    facts = [Fact("Pool", f"N = {first.pool_size:,} images of {block.dataset}")]
    if block.encoder == NO_ENCODER:
        facts.append(Fact("Encoder", "none"))
    else:
        supervision = _encoder_supervision(block)
        without = [line.label for line in block.lines if line.encoder == NO_ENCODER]
        unused = f", which {', '.join(without)} {'does' if len(without) == 1 else 'do'} not use" if without else ""
        how = _TRAINED.get(supervision, f"trained with {supervision}")
        facts.append(Fact("Encoder", f"{block.encoder} ({how}){unused}"))
    training = f"{counted(first.recipe_iterations, 'iteration')}, batch {first.recipe_batch_size:,}"
    facts.append(Fact("Model", f"{block.model}, {training}"))
    proxies = sorted({*block.cells["proxy_model"]} - {NO_PROXY})
    epochs = {recipe["proxy_epochs"] for recipe in block.cells["proxy_recipe"].dropna()}
    if proxies == [block.model]:
        epochs.add(first.recipe_proxy_epochs)  # rows of versions 1 to 3 hold no recipe of another model's proxies
    if proxies:
        facts.append(Fact("Proxy", ", ".join([proxies[0], *(counted(most, "epoch") for most in sorted(epochs)[-1:])])))
    if proxies and proxies != [block.model]:
        text = f"what reads training dynamics selected with the proxy and trains {block.model}"
        facts.append(Fact("Transfer", text))
    return facts


def _pseudo_labels(block: Block) -> list[Fact]:
    """How good the pseudo-labels were; one fact for all lines that say the same, such as variants of beta."""
    lines_of: dict[str, list[Line]] = {}
    for line in block.lines:
        cells = block.cells_of(line)
        # All rates of a seed share its pseudo-labels: one clustering must not count once for every rate.
        by_seed = dict(zip(cells["seed"], cells["pseudo_labels"], strict=True))
        known = [quality for _, quality in sorted(by_seed.items()) if quality is not None]
        if known:
            low, high = (end(item["clusters"] for item in known) for end in (min, max))
            clusters = f"{low} to " * (low != high) + counted(high, "cluster")
            accuracy, nmi, ari = ([item[name] for item in known] for name in ("accuracy", "nmi", "ari"))
            text = (
                f"{_spread(accuracy, 1)} % accurate, NMI {_spread(nmi, 2)}, ARI {_spread(ari, 2)} "
                f"({clusters}, n = {len(known)})"
            )
            lines_of.setdefault(text, []).append(line)
    facts = []
    for text, lines in lines_of.items():
        split = {line.method for line in block.lines if line not in lines}
        names = dict.fromkeys(line.label if line.method in split else line.method for line in lines)
        facts.append(Fact(f"Pseudo-labels of {', '.join(names)}", text))
    if facts:
        text = (
            "after the best one-to-one matching of clusters and classes, by true labels; computed after selection, and "
            "nothing is chosen by it"
        )
        facts.append(Fact("Accuracy of pseudo-labels", text))
    return facts


def _spread(values: Sequence[float], decimals: int) -> str:
    summary = summarize(values)
    spread = "" if summary.std is None else f" ± {summary.std:.{decimals}f}"
    return f"{summary.mean:.{decimals}f}{spread}"


def _reported_facts(block: Block) -> list[Fact]:
    protocol, first = protocol_of(block.dataset), next(named(block.cells))
    joined = [(line, one.paper) for line in block.all_lines for one in block.means_of(line) if one.paper]
    if not joined:
        text = "none for this data set and these methods"
        if protocol and protocol.pool_size != first.pool_size:
            text = f"none, since the papers' pool has {protocol.pool_size:,} images, this one {first.pool_size:,}"
        return [Fact("Reported numbers", text)]
    higher = "" if block.metric == "best" else ", which is never higher"
    text = (
        "the paper's number (ours minus it, in points). The papers report the best test accuracy seen during training; "
        f"ours is {METRIC[block.metric]}{higher}"
    )
    facts = [Fact("Reported", text)]
    for citation, of_paper in _grouped(joined, lambda entry: entry[1].citation).items():
        names = ", ".join(dict.fromkeys(line.label for line, _ in of_paper))
        kinds = ", ".join(sorted({item.kind for _, item in of_paper}))
        another = any("DUAL protocol" in item.note for _, item in of_paper)
        facts.append(Fact(citation, f"{names} ({kinds}){'; its training protocol is another one' if another else ''}"))
    for line in block.lines:
        ran = not_run(line.method, block.cells_of(line)["params"].iloc[0])
        if ran and not any(one.paper for one in block.means_of(line)):
            facts.append(Fact(f"No reported number for {line.label}", f"the papers ran it with {ran}"))
    # A cut of 0 drops nothing: of a method whose beta the papers tuned this is another method.
    zero = [line for line, _ in joined if all(params.get("beta") == 0 for params in block.cells_of(line)["params"])]
    untuned = {line.label for line in zero if tuned(line.method, "beta")}
    if untuned:
        text = f"{', '.join(sorted(untuned))} ran at beta = 0, which drops nothing; the papers tuned beta"
        facts.append(Fact("Beta", text))
    all_kinds = {item.kind for _, item in joined}
    if "figure-digitised" in all_kinds:
        marked = ", worse where marked *" * any(doubtful(item) for _, item in joined)
        facts.append(Fact("figure-digitised", f"good to 0.1 points{marked}"))
    if "table" in all_kinds:
        facts.append(Fact("table", "transcribed by others, not read from the paper itself"))
    if protocol and (protocol.model, protocol.iterations) != (block.model, first.recipe_iterations):
        text = (
            f"ELFS and CCS trained {protocol.model} for {protocol.iterations:,} iterations; these rows: {block.model}, "
            f"{first.recipe_iterations:,}"
        )
        facts.append(Fact("Training", text))
    others = {
        line.label: item.encoder
        for line, item in joined
        if line.encoder != NO_ENCODER and not same_encoder(item, line.encoder)
    }
    for label, theirs in others.items():
        facts.append(Fact(f"Encoder of the reported {label}", f"{theirs}; ours: {block.encoder}"))
    return facts
