"""What a reader must know to read a table, as pairs of a label and a value."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

from bench.grammar import Call, family
from bench.identity import NO_ENCODER, NO_PROXY
from bench.modifiers import describe
from bench.results.comparison import chosen
from bench.results.planned import missing_words
from bench.results.rendering import MISSING, WARNING, Fact
from bench.results.reported import Reported, not_run, protocol_of, same_encoder, tuned
from bench.results.rows import Row
from bench.results.stats import summarize
from bench.results.tables import Block, Line, dataset_modifiers, parameters
from bench.units import counted

METRIC = {"last": "last-iteration test accuracy", "best": "best test accuracy seen during training"}
_DIGITISED_ERROR = 0.1
_TRAINED = {"none": "not pretrained", "self-supervised": "self-supervised", "language": "trained with captions"}
T = TypeVar("T")
K = TypeVar("K")


def table_facts(block: Block) -> list[Fact]:
    """Return what was measured, on what, and what is not comparable in an accuracy table."""
    measured = [one for line in block.lines for one in line.measured]
    dates = sorted(row.created[:10] for row in block.rows)
    facts = [
        Fact("Accuracy", f"{METRIC[block.metric]} in percent, {_seeds(block)}; columns: percent of the pool removed")
    ]
    facts += [*incomplete(block), *_setting(block), *common(block.rows)]
    facts.append(Fact("Rows made", f"{' to '.join(dict.fromkeys((dates[0], dates[-1])))} (UTC)"))
    if any(one.best for one in measured):
        facts.append(
            Fact("Bold", "best of a column among methods that read no labels, and among those that read labels")
        )
    if any(one.summary is None for one in measured):
        facts.append(Fact(MISSING, "missing, no row"))
    if block.averages and not all(one.complete for one in measured):
        facts.append(Fact("Avg", "mean over the columns, only for methods that have all seeds in each of them"))
    facts += [*other_seeds(block), *label_leak(block)]
    set_by_user = [(line.label, parameters(line.variant)) for line in block.lines if line.label != line.variant]
    facts += [Fact(label, text) for label, text in set_by_user if text]
    facts += [*chosen_facts(block), *_pseudo_labels(block)]
    return facts + (_reported_facts(block) if block.compare else [])


def common(rows: Sequence[Row]) -> list[Fact]:
    """Return what holds for all rows of a table: hardware, protocol and data; without dates, so that it is stable."""
    facts = [Fact("Trained on", ", ".join(sorted({row.device for row in rows})))]
    facts += [Fact("Protocol", f"version {rows[0].protocol}"), *_precisions(rows)]
    modifiers = {row.dataset: dataset_modifiers(row.dataset) for row in rows}
    facts += [Fact(name, describe(given)) for name, given in sorted(modifiers.items()) if given]
    scales = sorted({row.recipe.scale for row in rows})
    if scales[0] < 1:
        factors = " and ".join(f"{scale:g}" for scale in scales)
        facts.append(Fact("Scaled", f"iterations and proxy epochs times {factors}, not the full protocol"))
    return facts + other_code(rows)


def incomplete(block: Block) -> list[Fact]:
    """Say which cells were asked for and have no row, and that some methods are left out."""
    words = missing_words(block.planned, block.rows)
    facts = [Fact("Incomplete", words)] if words else []
    if block.hidden:
        here = len(block.all_lines)
        facts.append(Fact("Methods", f"{here} of the {here + block.hidden} in these rows, compared among themselves"))
    return facts


def other_code(rows: Iterable[Row]) -> list[Fact]:
    """Warn of each method with coresets that were selected by different code, over which a mean is taken."""
    facts = []
    known = [row for row in rows if row.selection_code]
    # By what a mean is taken over: rates and seeds of one method with its parameters.
    lines = _grouped(known, lambda row: (row.dataset, row.model, row.encoder, str(Call(row.method, row.params))))
    for line in lines.values():
        by_code = _grouped(line, lambda row: row.selection_code)
        if len(by_code) > 1:
            parts = "; ".join(f"{_places(same)} by {code[:8]}" for code, same in by_code.items())
            name = family(line[0].variant)
            facts.append(Fact(WARNING, f"the coresets of {name} were selected by different code: {parts}"))
    return list(dict.fromkeys(facts))


def other_seeds(block: Block) -> list[Fact]:
    """Name each method that was run at seeds at which the block's methods are not compared."""
    facts = []
    for line in block.lines:
        cells = zip(block.rates, line.measured, strict=True)
        odd = [(rate, one.seeds) for rate, one in cells if not set(one.seeds) <= set(block.seeds)]
        for seeds, points in _grouped(odd, lambda cell: cell[1]).items():
            text = (
                f"{line.label} was run at the {_numbered('seed', seeds)} at "
                f"{', '.join(f'{100 * rate:g} %' for rate, _ in points)}, not at the "
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
    return [
        Fact(
            f"{label} chose {name}, by seed",
            "; ".join(
                f"{', '.join(f'{value:g}' for value in values.values())} at {100 * rate:g} %"
                for _, rate, _, values in group
            ),
        )
        for (label, name), group in _grouped(chosen(block), lambda entry: (entry[0], entry[2])).items()
        if (f"{label} took, by seed", name) not in told
    ] + taken


def _taken(block: Block) -> list[Fact]:
    """Say which candidates judged methods took, where one was no beta: another method, or a guard's random coreset."""
    facts = []
    for line in block.lines:
        taken = {rate: [row.taken for row in line.rows_at(rate).values() if row.taken] for rate in block.rates}
        if any(not name.startswith("beta=") for names in taken.values() for name in names):
            words = {
                rate: [re.sub(r"^random \d+$", "a random coreset", name) for name in taken[rate]] for rate in taken
            }
            text = "; ".join(f"{', '.join(words[rate])} at {100 * rate:g} %" for rate in words if words[rate])
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


def _places(rows: Sequence[Row]) -> str:
    """``seeds 0, 1 at 50, 90 %``."""
    rates = ", ".join(f"{100 * rate:g}" for rate in sorted({row.rate for row in rows}))
    return f"{_numbered('seed', sorted({row.seed for row in rows}))} at {rates} %"


def _numbered(noun: str, numbers: Sequence[int]) -> str:
    return f"{noun}{'s' * (len(numbers) != 1)} {', '.join(map(str, numbers))}"


def _precisions(rows: Sequence[Row]) -> list[Fact]:
    """Say what was not trained in fp32; where a table has both, the models and data sets of each."""
    # Rows of the first revisions say ``auto``, which was fp32 on the CPUs that trained them.
    by_precision = _grouped(rows, lambda row: row.recipe.precision.replace("auto", "fp32"))
    if set(by_precision) == {"fp32"}:
        return []
    trained = {
        name: sorted({f"{row.model} on {row.dataset}" for row in own}) for name, own in sorted(by_precision.items())
    }
    texts = [f"{name} ({', '.join(where)})" if len(by_precision) > 1 else name for name, where in trained.items()]
    return [Fact("Precision", ", ".join(texts))]


def _seeds(block: Block) -> str:
    names = sorted({row.seed for row in block.rows})
    listed = ", ".join(map(str, names))
    # A block of the full data alone has no seeds that methods are compared at.
    most = len(block.seeds) or len(names)
    if any(one.summary and one.summary.n != most for line in block.all_lines for one in line.measured):
        listed = f"seeds used: {listed}; n = {most} where no n is shown"
    elif len(names) > most:
        listed = f"seeds used: {listed}"
    return f"mean ± std over n = {most} seeds ({listed})" if most > 1 else f"one seed per cell ({listed}), so no std"


def _encoder_supervision(block: Block) -> str:
    return next((row.encoder_supervision for row in block.rows if row.encoder != NO_ENCODER), NO_ENCODER)


def _setting(block: Block) -> list[Fact]:
    """Pool, encoder, model and proxy."""
    recipe = block.rows[0].recipe
    facts = [Fact("Pool", f"N = {block.rows[0].pool_size:,} images of {block.dataset}")]
    if block.encoder == NO_ENCODER:
        facts.append(Fact("Encoder", "none"))
    else:
        supervision = _encoder_supervision(block)
        without = [line.label for line in block.lines if line.encoder == NO_ENCODER]
        unused = f", which {', '.join(without)} {'does' if len(without) == 1 else 'do'} not use" if without else ""
        how = _TRAINED.get(supervision, f"trained with {supervision}")
        facts.append(Fact("Encoder", f"{block.encoder} ({how}){unused}"))
    training = f"{counted(recipe.iterations, 'iteration')}, batch {recipe.batch_size:,}"
    facts.append(Fact("Model", f"{block.model}, {training}"))
    proxies = sorted({row.proxy_model for row in block.rows} - {NO_PROXY})
    epochs = {row.proxy_recipe.proxy_epochs for row in block.rows if row.proxy_recipe}
    if proxies == [block.model]:
        epochs.add(recipe.proxy_epochs)  # rows of versions 1 to 3 hold no recipe of another model's proxies
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
        # All rates of a seed share its pseudo-labels.
        by_seed = {row.seed: row.pseudo_labels for row in line.rows}
        known = [item for _, item in sorted(by_seed.items()) if item is not None]
        if known:
            low, high = (end(item.clusters for item in known) for end in (min, max))
            clusters = f"{low} to " * (low != high) + counted(high, "cluster")
            text = (
                f"{_spread([item.accuracy for item in known], 1)} % accurate, "
                f"NMI {_spread([item.nmi for item in known], 2)}, ARI {_spread([item.ari for item in known], 2)} "
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
    protocol, first = protocol_of(block.dataset), block.rows[0]
    joined = [(line, one.reported) for line in block.all_lines for one in line.measured if one.reported]
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
        ran = not_run(line.method, line.rows[0].params)
        if ran and not any(one.reported for one in line.measured):
            facts.append(Fact(f"No reported number for {line.label}", f"the papers ran it with {ran}"))
    # A cut of 0 drops nothing: of a method whose beta the papers tuned this is another method.
    zero = [line for line, _ in joined if all(row.params.get("beta") == 0 for row in line.rows)]
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
    if protocol and (protocol.model, protocol.iterations) != (block.model, first.recipe.iterations):
        text = (
            f"ELFS and CCS trained {protocol.model} for {protocol.iterations:,} iterations; these rows: {block.model}, "
            f"{first.recipe.iterations:,}"
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
