"""The notes below a table, as pairs of a label and a text."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, TypeVar

from bench.grammar import family
from bench.identity import NO_ENCODER, NO_PROXY
from bench.modifiers import describe
from bench.results.block import FULL, Block, Line
from bench.results.frame import named
from bench.results.metric import METRIC
from bench.results.planned import missing_words
from bench.results.rendering import MISSING, WARNING, Fact
from bench.results.reported import Reported, not_run, protocol_of, same_encoder, tuned
from bench.results.stats import summarize
from bench.results.tables import dataset_modifiers, variant_parameters
from bench.units import counted, in_percent, percent

if TYPE_CHECKING:
    import pandas as pd

_DIGITISED_ERROR = 0.1
_CODED = ["dataset", "model", "encoder", "method", "params", "variant", "rate", "seed", "selection_code"]
_TRAINED = {"none": "not pretrained", "self-supervised": "self-supervised", "language": "trained with captions"}
T = TypeVar("T")
K = TypeVar("K")


def table_facts(block: Block) -> list[Fact]:
    """Return the notes of an accuracy table: what was measured, on what, and what cannot be compared."""
    means = block.means[block.means["method"] != FULL]
    dates = sorted(block.cells["created"].str[:10])
    facts = [
        Fact("Accuracy", f"{METRIC[block.metric]} in percent, {_seeds(block)}; columns: percent of the pool removed")
    ]
    if block.metric == "flipped":
        facts.append(Fact("With mirror images", "by the mean of the logits of each test image and of its mirror image"))
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
    set_by_user = [(line.label, variant_parameters(line.variant)) for line in block.lines if line.label != line.variant]
    facts += [Fact(label, text) for label, text in set_by_user if text]
    facts += [*chosen_facts(block), *_pseudo_labels(block)]
    return facts + (_reported_facts(block) if block.compare else [])


def common(cells: pd.DataFrame) -> list[Fact]:
    """Return the notes that hold for all rows of a table: hardware, protocol and data, but no dates."""
    facts = [Fact("Trained on", ", ".join(sorted(cells["device"].unique())))]
    facts += [Fact("Protocol", f"version {cells['protocol'].iloc[0]}"), *_precisions(cells)]
    modifiers = {dataset: dataset_modifiers(dataset) for dataset in sorted(cells["dataset"].unique())}
    facts += [Fact(dataset, describe(applied)) for dataset, applied in modifiers.items() if applied]
    scales = sorted(cells["recipe_scale"].unique())
    # A scaled run is no result of the protocol, and its table must say so even if it is copied.
    if scales[0] < 1:
        factors = " and ".join(f"{scale:g}" for scale in scales)
        facts.append(Fact("Scaled", f"iterations and proxy epochs times {factors}, not the full protocol"))
    return facts + other_code(cells)


def incomplete(block: Block) -> list[Fact]:
    """Return which planned cells have no row, and how many methods are left out."""
    words = missing_words(block.planned, block.points)
    facts = [Fact("Incomplete", words)] if words else []
    # Ranks and p-values depend on which methods are shown.
    if block.hidden:
        shown = len(block.all_lines)
        facts.append(Fact("Methods", f"{shown} of the {shown + block.hidden} in these rows, compared among themselves"))
    return facts


def other_code(cells: pd.DataFrame) -> list[Fact]:
    """Return warnings about methods whose mean is over coresets that different code selected."""
    named: dict[str, list[str]] = {}
    known = cells.loc[cells["selection_code"] != "", _CODED]
    # Grouped like the means: rates and seeds of one method and its parameters, which are dicts and have no hash.
    lines = ["dataset", "model", "encoder", "method", "params"]
    for _, line in known.assign(params=known["params"].map(repr)).groupby(lines, sort=False):
        if line["selection_code"].nunique() > 1:
            by_code = line.groupby("selection_code", sort=False)
            parts = "; ".join(_seeds_and_rates(same) for _, same in by_code)
            # If a folder was continued with other code, its methods have the same parts: one warning names them all.
            named.setdefault(parts, []).append(family(line["variant"].iloc[0]))
    return [
        Fact(WARNING, f"the coresets of {', '.join(dict.fromkeys(names))} were selected by different code: {parts}")
        for parts, names in named.items()
    ]


def other_seeds(block: Block) -> list[Fact]:
    """Return the methods that were run at other seeds than those at which the block's methods are compared."""
    facts = []
    for line in block.lines:
        odd = [mean for mean in block.means_of(line) if not set(mean.seeds) <= set(block.seeds)]
        for seeds, means in _grouped(odd, lambda mean: tuple(mean.seeds)).items():
            text = (
                f"{line.label} was run at the {_numbered('seed', seeds)} at "
                f"{', '.join(percent(mean.rate) for mean in means)}, not at the "
                f"{_numbered('seed', block.seeds)} of the others: it is not ranked, averaged or marked best there"
            )
            facts.append(Fact("Other seeds", text))
    return facts


def label_leak(block: Block) -> list[Fact]:
    """Return a warning if methods without labels use an encoder that was trained with labels."""
    names = [line.label for line in block.lines if line.encoder != NO_ENCODER and line.supervision != "labels"]
    if _encoder_supervision(block) != "labels" or not names:
        return []
    text = (
        f"the encoder {block.encoder} was trained with labels (of its own training set), so methods that use it are "
        f"not strictly free of labels: {', '.join(names)}"
    )
    return [Fact(WARNING, text)]


def chosen_facts(block: Block) -> list[Fact]:
    """Return the parameters that methods chose themselves, by seed, one fact for each method and parameter."""
    taken = _taken(block)
    # A judge's choices name beta at every seed; ``chosen`` would leave out the guard's random coresets.
    reported = {(fact.label, "beta") for fact in taken}
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
            text = "; ".join(
                f"{', '.join(f'{choice[3]:g}' for choice in at)} at {percent(rate)}" for rate, at in at_rates
            )
            if (f"{line.label} took, by seed", name) not in reported:
                facts.append(Fact(f"{line.label} chose {name}, by seed", text))
    return facts + taken


def _taken(block: Block) -> list[Fact]:
    """Return the candidates that judged methods took, for methods of which a candidate was no beta."""
    facts = []
    for line in block.lines:
        cells = block.cells_of(line)
        taken = [(rate, name) for rate, name in zip(cells["rate"], cells["taken"], strict=True) if name]
        if not all(name.startswith("beta=") for _, name in taken):
            words = [(rate, re.sub(r"^random \d+$", "a random coreset", name)) for rate, name in taken]
            at_rates = _grouped(words, lambda word: word[0]).items()
            text = "; ".join(f"{', '.join(name for _, name in at)} at {percent(rate)}" for rate, at in at_rates)
            facts.append(Fact(f"{line.label} took, by seed", text))
    return facts


def doubtful(number: Reported) -> bool:
    """Return whether a number is marked: a digitised point below the figure or behind other curves."""
    return number.error is not None and number.error > _DIGITISED_ERROR


def _grouped(items: Iterable[T], key: Callable[[T], K]) -> dict[K, list[T]]:
    """Return the items by key, with keys in the order of their first appearance."""
    groups: dict[K, list[T]] = {}
    for item in items:
        groups.setdefault(key(item), []).append(item)
    return groups


def _seeds_and_rates(cells: pd.DataFrame) -> str:
    """Return the seeds and rates of cells in words: ``seeds 0, 1 at 50, 90 %``."""
    rates = ", ".join(in_percent(rate) for rate in sorted(cells["rate"].unique()))
    return f"{_numbered('seed', sorted(cells['seed'].unique()))} at {rates} %"


def _numbered(noun: str, numbers: Sequence[int]) -> str:
    return f"{noun}{'s' * (len(numbers) != 1)} {', '.join(map(str, numbers))}"


def _precisions(cells: pd.DataFrame) -> list[Fact]:
    """Return the precisions other than fp32; if a table has several, with the models and data sets of each."""
    # Rows of the first revisions have ``auto``, which was fp32 on the CPUs that trained them.
    trained = (cells["model"] + " on " + cells["dataset"]).groupby(cells["recipe_precision"].replace("auto", "fp32"))
    if set(trained.groups) == {"fp32"}:
        return []
    texts = [f"{name} ({', '.join(sorted(where.unique()))})" if len(trained) > 1 else name for name, where in trained]
    return [Fact("Precision", ", ".join(texts))]


def _seeds(block: Block) -> str:
    names = sorted(block.cells["seed"].unique())
    listed = ", ".join(map(str, names))
    # A block with only the full data has no seeds at which methods are compared.
    most = len(block.seeds) or len(names)
    if not block.means["n"].isin([0, most]).all():
        listed = f"seeds used: {listed}; n = {most} where no n is shown"
    elif len(names) > most:
        listed = f"seeds used: {listed}"
    return f"mean ± std over n = {most} seeds ({listed})" if most > 1 else f"one seed per cell ({listed}), so no std"


def _encoder_supervision(block: Block) -> str:
    supervisions = block.cells.loc[block.cells["encoder"] != NO_ENCODER, "encoder_supervision"]
    return NO_ENCODER if supervisions.empty else supervisions.iloc[0]


def _setting(block: Block) -> list[Fact]:
    """Return the notes on pool, encoder, model and proxy."""
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
        epochs.add(first.recipe_proxy_epochs)  # rows of versions 1 to 3 have no recipe of the proxy
    if proxies:
        facts.append(Fact("Proxy", ", ".join([proxies[0], *(counted(most, "epoch") for most in sorted(epochs)[-1:])])))
    if proxies and proxies != [block.model]:
        text = f"methods that read training dynamics selected with the proxy; their coresets train {block.model}"
        facts.append(Fact("Transfer", text))
    return facts


def _pseudo_labels(block: Block) -> list[Fact]:
    """Return the quality of the pseudo-labels; lines with the same quality, such as variants of beta, share a fact."""
    lines_of: dict[str, list[Line]] = {}
    for line in block.lines:
        cells = block.cells_of(line)
        # All rates of a seed share its pseudo-labels, which must count once.
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
    joined = [(line, mean.paper) for line in block.all_lines for mean in block.means_of(line) if mean.paper]
    if not joined:
        text = "none for this data set and these methods"
        if protocol and protocol.pool_size != first.pool_size:
            text = f"none, since the papers' pool has {protocol.pool_size:,} images, this one {first.pool_size:,}"
        elif protocol and protocol.model != block.model:
            text = f"none, since ELFS and CCS trained {protocol.model}, these rows {block.model}"
        return [Fact("Reported numbers", text)]
    higher = {"last": ", which is never higher", "flipped": ", which can be higher"}.get(block.metric, "")
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
        if ran and not any(mean.paper for mean in block.means_of(line)):
            facts.append(Fact(f"No reported number for {line.label}", f"the papers ran it with {ran}"))
    # With beta = 0 nothing is dropped, unlike in the papers, which tuned beta.
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
    if protocol and protocol.iterations != first.recipe_iterations:
        text = f"ELFS and CCS trained for {protocol.iterations:,} iterations; these rows: {first.recipe_iterations:,}"
        facts.append(Fact("Training", text))
    others = {
        line.label: item.encoder
        for line, item in joined
        if line.encoder != NO_ENCODER and not same_encoder(item, line.encoder)
    }
    for label, theirs in others.items():
        facts.append(Fact(f"Encoder of the reported {label}", f"{theirs}; ours: {block.encoder}"))
    return facts
