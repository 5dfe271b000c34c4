"""Checking a row against the installed method, data set, encoder and networks."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from typing import Any

from bench.errors import BenchError, SpecError
from bench.grammar import Call, parse_call
from bench.grid.cells import POOL, spelled
from bench.identity import INDICES, NO_ENCODER, NO_PROXY, Proxy
from bench.loading import DOWNLOAD
from bench.parts import SUPERVISIONS
from bench.plugins import MethodInfo, datasets, encoders, methods, models
from bench.recipe import proxy_recipe
from bench.registry import Entry, Registry
from bench.results.claims import Unchecked
from bench.results.claims.configuration import dataset_ref, encoder_ref, is_whole, model_ref
from bench.results.rows import Row
from bench.stages.base import in_order
from bench.stages.selection import resources_of
from bench.stages.training import Cell


def plugin_problems(row: Row) -> Iterator[str]:
    """Yield what contradicts the plugins that the row names, if they are installed in the row's versions."""
    data, model = parse_call(row.dataset), parse_call(row.model)
    yield from _call_problems(datasets, "dataset", data, row.dataset_version, besides=POOL)
    yield from _call_problems(models, "model", model, row.model_version)
    reader = _installed(datasets, data.name)
    if DOWNLOAD in data.params:
        yield f"dataset: {DOWNLOAD} is not a parameter of the data"
    if reader and reader.info.num_classes not in (None, len(row.class_counts)):
        yield f"class_counts: {len(row.class_counts)} classes, but {data.name} has {reader.info.num_classes}"
    if row.proxy_model != NO_PROXY:
        yield from _call_problems(models, "proxy_model", parse_call(row.proxy_model), row.proxy_version)
    if row.encoder != NO_ENCODER:
        yield from _encoder_problems(row)
    if row.method == INDICES:
        yield from _retrained_problems(row)
        return
    entry = _installed(methods, row.method)
    if entry is None:
        yield Unchecked(f"method {row.method}: it is not installed")
        return
    if row.supervision != entry.info.supervision:
        yield f"supervision: {row.supervision}, but {row.method} is registered with {entry.info.supervision}"
    if row.method_version != entry.info.version:
        yield Unchecked(f"method {row.method}: version {entry.info.version} is installed, not {row.method_version}")
        return
    problems = list(_method_problems(row, entry))
    yield from problems or _part_problems(row)


def _installed(registry: Registry[Any], name: str) -> Entry[Any] | None:
    return next((entry for entry in registry if entry.name == name), None)


def _call_problems(
    registry: Registry[Any], field: str, call: Call, version: int | None, *, besides: Collection[str] = ()
) -> Iterator[str]:
    """Yield a problem for parameters that are not valid or at their defaults; a version of None is not checked."""
    entry = _installed(registry, call.name)
    if entry is None:
        yield Unchecked(f"{registry.kind} {call.name}: it is not installed")
        return
    if version not in (None, entry.info.version):
        yield Unchecked(f"{registry.kind} {call.name}: version {entry.info.version} is installed, not {version}")
        return
    params = {name: value for name, value in call.params.items() if name not in besides}
    try:
        changed = entry.changed(params)
    except SpecError as error:
        yield f"{field}: {error}"
        return
    if _json(changed) != _json(params):
        yield f"{field}: {Call(call.name, params)} would be written {Call(call.name, changed)}"


def _encoder_problems(row: Row) -> Iterator[str]:
    call = parse_call(row.encoder)
    yield from _call_problems(encoders, "encoder", call, row.encoder_version)
    entry = _installed(encoders, call.name)
    if entry is None:
        return
    try:
        trained = entry.info.trained_with(call.params)
    except BenchError as error:  # a library that knows the name may not be installed
        yield Unchecked(f"encoder {call}: {error}")
    else:
        if row.encoder_supervision != trained:
            yield f"encoder_supervision: {row.encoder_supervision}, but {call} has {trained}"
    if bool(row.encoder_weights) != (entry.info.weights is not None):
        has = "none" if entry.info.weights is None else "a weights file"
        yield f"encoder_weights: {row.encoder_weights[:12]!r}, but {call.name} has {has}"


def _retrained_problems(row: Row) -> Iterator[str]:
    """Yield a problem if the row claims less supervision than the coreset's method; a file may claim more."""
    source = _source(parse_call(row.variant))
    while source is not None and source.name == INDICES:
        source = _source(source)
    origin = None if source is None else _installed(methods, source.name)
    if origin is None:
        yield Unchecked("supervision: the coreset's method is not installed, or unknown")
        return
    registered = origin.info.supervision
    less = SUPERVISIONS.index(row.supervision) < SUPERVISIONS.index(registered)
    # Only a row names the code that selected; a file may merely be called like a method.
    if less or (row.selection_code and row.supervision != registered):
        yield f"supervision: {row.supervision}, but {origin.name} is registered with {registered}"


def _source(call: Call) -> Call | None:
    """Return what selected a coreset: its variant, or the name of its file; None if that cannot be read as a call."""
    try:
        return parse_call(call.params.get("of", ""))
    except SpecError:
        return None


def _method_problems(row: Row, entry: Entry[MethodInfo]) -> Iterator[str]:
    """Yield problems of the parameters at the row's rate, and changed parameters that the variant does not name."""
    if entry.info.unpruned and row.rate:
        yield f"rate: {row.method} keeps the whole pool, its only rate is 0"
    call = parse_call(row.variant)
    try:
        resolved = entry.resolve(row.params)
        changed = entry.changed(row.params)
        entry.info.check(resolved, row.rate)
        canonical = spelled(call)
    except SpecError as error:
        yield f"params: {error}"
        return
    otherwise = [name for name, value in row.params.items() if _json(value) != _json(resolved[name])]
    if otherwise:
        name = otherwise[0]
        yield f"params: {name} would be written {resolved[name]!r}, not {row.params[name]!r}"
    if canonical != row.variant:
        yield f"variant: {row.variant} would be written {canonical}"
    unnamed = [name for name in changed if name not in call.params]
    if unnamed:
        yield f"variant: it does not name {unnamed[0]}={changed[unnamed[0]]!r}, which is not the default"
    for name, value in row.chosen.items():
        yield from _chosen_problems(row, entry, name, value)
    reads_judge = any(item.part == "judge" for item in entry.info.needs(resolved))
    if (row.judged or row.taken) and not reads_judge:
        yield f"judged: {row.variant} has nothing judged"


def _chosen_problems(row: Row, entry: Entry[MethodInfo], name: str, value: float) -> Iterator[str]:
    """Yield a problem if the method cannot have chosen the parameter, or not this value."""
    if name not in entry.params:
        yield f"chosen: {row.method} has no parameter {name}"
    elif isinstance(row.params.get(name), int | float):
        yield f"chosen: {name} is {row.params[name]} in params, which leaves nothing to choose"
    else:
        number = int(value) if value.is_integer() else value
        try:
            entry.info.check(entry.resolve({**row.params, name: number}), row.rate)
        except SpecError as error:
            yield f"chosen: {error}"


def _part_problems(row: Row) -> Iterator[str]:
    """Yield a problem if encoder, proxy, pseudo-labels or stages are not those that method and networks read."""
    rests_on = resources_of(row.method, row.params)
    proxied, clustered = "proxy" in rests_on, "pseudo-labels" in rests_on
    if proxied != (row.proxy_model != NO_PROXY):
        yield f"proxy_model: {row.proxy_model}, but {row.variant} {'has one' if proxied else 'has none'} trained"
        return
    networks = [row.model] + [row.proxy_model] * proxied
    trained = [_installed(models, parse_call(label).name) for label in networks]
    if not all(trained):
        return
    embedded = "encoder" in rests_on or any(entry and entry.info.inputs == "embeddings" for entry in trained)
    if embedded != (row.encoder != NO_ENCODER):
        reads = "embeddings are read" if embedded else "nothing reads embeddings"
        yield f"encoder: {row.encoder}, but {reads} by {row.variant} and {', '.join(networks)}"
        return
    # The first rows of version 1 were written before pseudo-labels were compared with labels.
    if (row.pseudo_labels is not None) != clustered and not (clustered and row.schema_version == 1):
        yield f"pseudo_labels: {row.variant} rests on {'some' if clustered else 'none'}"
    if row.encoder == NO_ENCODER or _installed(encoders, parse_call(row.encoder).name):
        yield from _code_problems(row)


def _code_problems(row: Row) -> Iterator[str]:
    """Yield a problem if stages or parameters are not the cell's, provided that the same code is installed."""
    if not row.selection_code:
        yield Unchecked("stages: rows of schema versions 1 and 2 do not name the code that selected the coreset")
        return
    if not is_whole(row):
        return  # reported by the check of the configuration's hash
    cell = _cell(row)
    if cell.selection().all_code() != row.selection_code:
        yield Unchecked(
            "stages: the coreset was selected by other code than the one that is installed; to check them, "
            "check out the row's git_revision"
        )
        return
    missing = methods.get(row.method).params.keys() - row.params.keys()
    if missing:
        yield f"params: {', '.join(sorted(missing))}: missing"
    stages = in_order(cell.inputs())
    keys = {stage.key: stage.kind for stage in stages}
    covered = {stage.kind for stage in in_order([cell.selection()])}
    for use in row.stages:
        # The selection's code does not cover stages that only the model uses.
        if use.kind not in keys.values() or (use.kind in covered and keys.get(use.key) != use.kind):
            yield f"stages: {use.kind} {use.key[:12]}... is not among the cell's stages"
    known = [use.key for use in row.stages if use.key in keys]
    if known != [key for key in keys if key in known]:
        yield "stages: inputs do not come first"
    clusterings = cell.selection().all_pseudo_labels()
    clusters = clusterings[0].num_clusters if clusterings else None
    if row.pseudo_labels and isinstance(clusters, int) and row.pseudo_labels.clusters > clusters:
        yield f"pseudo_labels: {row.pseudo_labels.clusters} clusters, but {clusters} were made"


def _cell(row: Row) -> Cell:
    """Return the cell of the row; its plugins must be installed in the row's versions."""
    encoder = encoder_ref(row)
    proxy = None
    if row.proxy_model != NO_PROXY:
        model = model_ref(row.proxy_model, row.proxy_version)
        reads = models.get(model.name).info.inputs == "embeddings"
        proxy = Proxy(
            model=model, recipe=row.proxy_recipe or proxy_recipe(row.recipe), encoder=encoder if reads else None
        )
    return Cell(
        dataset=dataset_ref(row),
        method=row.method,
        variant=row.variant,
        params=methods.get(row.method).changed(row.params),
        encoder=encoder,
        rate=row.rate,
        budget=row.budget,
        seed=row.seed,
        model=model_ref(row.model, row.model_version),
        recipe=row.recipe,
        proxy=proxy,
        protocol=row.protocol,
    )


def _json(value: Any) -> str:
    return json.dumps(value, sort_keys=True, default=repr)
