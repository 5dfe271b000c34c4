"""Captions of tables, in whole sentences."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from bench.calls import Call, family
from bench.quantities import counted
from bench.refs import NO_ENCODER, NO_PROXY
from bench.results.comparison import chosen
from bench.results.reported import Reported, not_run, protocol_of, same_encoder, tuned
from bench.results.rows import Row
from bench.results.sheets import MISSING
from bench.results.stats import summarize
from bench.results.tables import Block, Line, dataset_modifiers, parameters
from bench.variants import describe

METRIC = {"last": "last-iteration test accuracy", "best": "best test accuracy seen during training"}
_DIGITISED_ERROR = 0.1


def caption(block: Block, *, compare: bool = False) -> list[str]:
    """Everything a reader must know to read the numbers: what was measured, on what, and what is not comparable."""
    first, recipe = block.rows[0], block.rows[0].recipe
    measured = [one for line in block.lines for one in line.measured]
    notes = [f"{METRIC[block.metric].capitalize()} in percent, {_seeds(block)}; columns: percent of the pool removed."]
    proxies = sorted({row.proxy_model for row in block.rows} - {NO_PROXY})
    proxy_epochs = {row.proxy_recipe.proxy_epochs for row in block.rows if row.proxy_recipe}
    if proxies == [block.model]:
        proxy_epochs.add(recipe.proxy_epochs)  # rows of versions 1 to 3 hold no recipe of another model's proxies
    epochs = f", {counted(max(proxy_epochs), 'epoch')}" if proxy_epochs else ""
    proxy = f" Proxy: {proxies[0]}{epochs}." if proxies else ""
    if proxies and proxies != [block.model]:
        proxy += f" Transfer: what reads training dynamics selected with the proxy and trains {block.model}."
    notes.append(
        f"Pool: N = {first.pool_size:,} images of {block.dataset}. {_encoder(block)} "
        f"Model: {block.model}, {counted(recipe.iterations, 'iteration')}, batch {recipe.batch_size:,}.{proxy}"
    )
    dates = sorted(row.created[:10] for row in block.rows)
    span = dates[0] if dates[0] == dates[-1] else f"{dates[0]} to {dates[-1]}"
    notes += [*common(block.rows), f"Rows made {span} (UTC)."]
    if any(one.best for one in measured):
        notes.append("Bold: best of a column among methods that read no labels, and among those that read labels.")
    incomplete = any(not one.complete for one in measured)
    if any(one.summary is None for one in measured):
        notes.append(f"{MISSING}: missing, no row.")
    if incomplete and block.averages:
        notes.append("Avg: mean over the columns, only for methods that have all seeds in each of them.")
    notes += other_seeds(block)
    readers = [line for line in block.lines if line.encoder != NO_ENCODER and line.supervision != "labels"]
    notes += label_leak(block.encoder, _encoder_supervision(block), [line.label for line in readers])
    set_by_user = [(line.method, parameters(line.variant)) for line in block.lines if line.label == line.method]
    notes += [f"{method}: {text}." for method, text in set_by_user if text]
    notes += _chosen(block)
    notes += _pseudo_label_notes(block)
    return notes + (_reported_notes(block) if compare else [])


def common(rows: Sequence[Row]) -> list[str]:
    """What holds for all rows of a table: hardware, protocol and data; without dates, so that it is stable."""
    devices = ", ".join(sorted({row.device for row in rows}))
    scales = sorted({row.recipe.scale for row in rows})
    notes = [f"Trained on {devices}. Protocol version {rows[0].protocol}.", *_precisions(rows), *_versions(rows)]
    if scales[0] < 1:
        factors = " and ".join(f"{scale:g}" for scale in scales)
        notes.append(f"Scaled: iterations and proxy epochs times {factors}, not the full protocol.")
    return notes + other_code(rows)


def _precisions(rows: Sequence[Row]) -> list[str]:
    """One sentence on what was not trained in fp32; where a table has both, on the models and data sets of each."""
    found: dict[str, set[str]] = {}
    for row in rows:
        # Rows of the first revisions say ``auto``, which was fp32 on the CPUs that trained them.
        precision = "fp32" if row.recipe.precision == "auto" else row.recipe.precision
        found.setdefault(precision, set()).add(f"{row.model} on {row.dataset}")
    if set(found) == {"fp32"}:
        return []
    where = {name: f" ({', '.join(sorted(trained))})" if len(found) > 1 else "" for name, trained in found.items()}
    return [f"Precision: {', '.join(name + where[name] for name in sorted(found))}."]


def other_code(rows: Sequence[Row]) -> list[str]:
    """A warning for each method with coresets that were selected by different code, over which a mean is taken."""
    found: dict[tuple[str, ...], dict[str, list[Row]]] = {}
    for row in rows:
        if row.selection_code:
            line = (row.dataset, row.model, row.encoder, str(Call(row.method, row.params)))
            found.setdefault(line, {}).setdefault(row.selection_code, []).append(row)
    notes = []
    for states in found.values():
        if len(states) > 1:
            first = next(iter(states.values()))[0]
            parts = (f"{_places(same)} by {code[:8]}" for code, same in states.items())
            notes.append(
                f"Warning: the coresets of {family(first.variant)} were selected by different code: {'; '.join(parts)}."
            )
    return list(dict.fromkeys(notes))


def other_seeds(block: Block) -> list[str]:
    """One sentence on each method that was run at seeds at which the block's methods are not compared."""
    notes = []
    for line in block.lines:
        places: dict[tuple[int, ...], list[str]] = {}
        for rate, one in zip(block.rates, line.measured, strict=True):
            if not set(one.seeds) <= set(block.seeds):
                places.setdefault(one.seeds, []).append(f"{100 * rate:g} %")
        for seeds, rates in places.items():
            notes.append(
                f"{line.label} was run at the {_numbered('seed', seeds)} at {', '.join(rates)}, not at the "
                f"{_numbered('seed', block.seeds)} of the others: it is neither best nor averaged nor ranked there."
            )
    return notes


def _places(rows: Iterable[Row]) -> str:
    """``seeds 0, 1 at 50, 90 %``."""
    found = list(rows)
    rates = ", ".join(f"{100 * rate:g}" for rate in sorted({row.rate for row in found}))
    return f"{_numbered('seed', sorted({row.seed for row in found}))} at {rates} %"


def label_leak(encoder: str, supervision: str, methods: Iterable[str]) -> list[str]:
    """A warning where methods that read no label rest on an encoder that was trained with labels."""
    names = list(methods)
    if supervision != "labels" or not names:
        return []
    rest = "rests" if len(names) == 1 else "rest"
    return [
        f"Warning: the encoder {encoder} was trained with labels (of its own training set); {', '.join(names)} {rest} "
        "on it and so cannot be called free of labels without this remark."
    ]


def doubtful(found: Reported) -> bool:
    """Whether a number is marked: a digitised point that lies below the figure or behind other curves."""
    return found.error is not None and found.error > _DIGITISED_ERROR


def _span(clusters: Sequence[int]) -> str:
    """``10 clusters``, ``8 to 12 clusters``."""
    low = f"{clusters[0]} to " if clusters[0] != clusters[-1] else ""
    return f"{low}{counted(clusters[-1], 'cluster')}"


def _numbered(noun: str, numbers: Sequence[int]) -> str:
    return f"{noun}{'s' * (len(numbers) != 1)} {', '.join(map(str, numbers))}"


def _versions(rows: Iterable[Row]) -> list[str]:
    """One sentence on each data set whose training split was made long-tailed or noisy."""
    modifiers = {row.dataset: dataset_modifiers(row.dataset) for row in rows}
    return [f"{name}: {describe(given)}." for name, given in sorted(modifiers.items()) if given]


def _seeds(block: Block) -> str:
    names = sorted({row.seed for row in block.rows})
    listed = ", ".join(map(str, names))
    most = len(block.seeds) or len(names)
    if any(one.summary and one.summary.n != most for line in block.all_lines for one in line.measured):
        listed = f"seeds used: {listed}; n = {most} where no n is shown"
    elif len(names) > most:
        listed = f"seeds used: {listed}"
    return f"mean ± std over n = {most} seeds ({listed})" if most > 1 else f"one seed per cell ({listed}), so no std"


def _encoder_supervision(block: Block) -> str:
    return next((row.encoder_supervision for row in block.rows if row.encoder != NO_ENCODER), NO_ENCODER)


def _encoder(block: Block) -> str:
    if block.encoder == NO_ENCODER:
        return "No encoder."
    how = {"none": "not pretrained", "self-supervised": "self-supervised", "language": "trained with captions"}
    supervision = _encoder_supervision(block)
    without = [line.label for line in block.lines if line.encoder == NO_ENCODER]
    unused = f", which {', '.join(without)} {'does' if len(without) == 1 else 'do'} not use" if without else ""
    return f"Encoder: {block.encoder} ({how.get(supervision, f'trained with {supervision}')}){unused}."


def _chosen(block: Block) -> list[str]:
    """What methods chose themselves, by seed, one sentence for each method and parameter."""
    found: dict[tuple[str, str], list[str]] = {}
    for label, rate, name, values in chosen(block):
        texts = ", ".join(f"{value:g}" for value in values.values())
        found.setdefault((label, name), []).append(f"{texts} at {100 * rate:g} %")
    return [f"{label} chose {name}, by seed: {'; '.join(parts)}." for (label, name), parts in found.items()]


def _not_run(block: Block) -> list[str]:
    """Why a method has no reported number although the papers have the method."""
    lines = [line for line in block.lines if not any(one.reported for one in line.measured)]
    papers = [(line.label, not_run(line.method, line.rows[0].params)) for line in lines]
    return [f"No reported number for {label}: the papers ran it with {ran}." for label, ran in papers if ran]


def _pseudo_label_notes(block: Block) -> list[str]:
    """How good the pseudo-labels were; one note for all lines that say the same, such as variants of beta."""
    lines_of: dict[str, list[Line]] = {}
    for line in block.lines:
        # All rates of a seed share its pseudo-labels.
        found = {row.seed: row.pseudo_labels for row in line.rows}
        known = [found[seed] for seed in sorted(found)]
        measured = [item for item in known if item is not None]
        if measured:
            clusters = sorted({item.clusters for item in measured})
            text = (
                f"{_spread([item.accuracy for item in measured], 1)} % accurate, "
                f"NMI {_spread([item.nmi for item in measured], 2)}, ARI {_spread([item.ari for item in measured], 2)} "
                f"({_span(clusters)}, n = {len(measured)})"
            )
            lines_of.setdefault(text, []).append(line)
    notes = []
    for text, lines in lines_of.items():
        whole = {
            line.method for line in lines if all(other in lines for other in block.lines if other.method == line.method)
        }
        names = dict.fromkeys(line.method if line.method in whole else line.label for line in lines)
        notes.append(f"{', '.join(names)}: pseudo-labels {text}.")
    if notes:
        notes.append(
            "Accuracy of pseudo-labels: after the best one-to-one matching of clusters and classes, by true labels; "
            "computed after selection, and nothing is chosen by it."
        )
    return notes


def _spread(values: Sequence[float], decimals: int) -> str:
    summary = summarize(values)
    spread = "" if summary.std is None else f" ± {summary.std:.{decimals}f}"
    return f"{summary.mean:.{decimals}f}{spread}"


def _reported_notes(block: Block) -> list[str]:
    protocol, first = protocol_of(block.dataset), block.rows[0]
    found = [(line, one.reported) for line in block.all_lines for one in line.measured if one.reported]
    if not found:
        if protocol and protocol.pool_size != first.pool_size:
            sizes = f"the papers' pool has {protocol.pool_size:,} images, this one {first.pool_size:,}"
            return [f"No reported numbers: {sizes}."]
        return ["No reported numbers: the papers report none for this data set and these methods."]
    notes = [
        "Reported: the paper's number (ours minus it, in points). The papers report the best test accuracy seen during "
        f"training; ours is {METRIC[block.metric]}{'' if block.metric == 'best' else ', which is never higher'}."
    ]
    for citation in dict.fromkeys(item.citation for _, item in found):
        of_paper = [(line, item) for line, item in found if item.citation == citation]
        names = ", ".join(dict.fromkeys(line.label for line, _ in of_paper))
        kinds = ", ".join(sorted({item.kind for _, item in of_paper}))
        note = f"{citation}: {names} ({kinds})."
        if "DUAL protocol" in " ".join(item.note for _, item in of_paper):
            note += " Its training protocol is another one."
        notes.append(note)
    notes += _not_run(block)
    zero = [line for line, _ in found if all(row.params.get("beta") == 0 for row in line.rows)]
    untuned = {line.label for line in zero if tuned(line.method, "beta")}
    if untuned:
        notes.append(f"{', '.join(sorted(untuned))} ran at beta = 0, which drops nothing; the papers tuned beta.")
    if any(item.kind == "figure-digitised" for _, item in found):
        marked = any(doubtful(item) for _, item in found)
        notes.append(f"Digitised numbers are good to 0.1 points{', worse where marked *' if marked else ''}.")
    if any(item.kind == "table" for _, item in found):
        notes.append("Numbers of kind table were transcribed by others, not read from the paper itself.")
    if protocol and (protocol.model, protocol.iterations) != (block.model, first.recipe.iterations):
        notes.append(
            f"ELFS and CCS trained {protocol.model} for {protocol.iterations:,} iterations; these rows: {block.model}, "
            f"{first.recipe.iterations:,}."
        )
    others = {
        line.label: item.encoder
        for line, item in found
        if line.encoder != NO_ENCODER and not same_encoder(item, line.encoder)
    }
    ours = block.encoder
    return notes + [f"Encoder of the reported {label}: {encoder}; ours: {ours}." for label, encoder in others.items()]
