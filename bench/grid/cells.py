"""Expansion of a grid into its cells: the cross product, in which equal cells appear once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

from pydantic import ValidationError

from bench.errors import SpecError, UnknownName
from bench.grammar import Call
from bench.grid.spec import GridSpec
from bench.identity import INDICES, DatasetRef, EncoderRef, ModelRef, Proxy
from bench.modifiers import check_corruption, check_modifiers
from bench.parts import Supervision
from bench.plugins import datasets, encoders, methods, models
from bench.recipe import Precision, Recipe, proxy_recipe
from bench.registry import Param
from bench.selection import budget_for, check_candidates
from bench.stages.published import Coreset, PublishedCell
from bench.stages.selection import resources_of
from bench.stages.training import Cell
from bench.valid import first_refused

WEIGHTS = "weights"
"""A parameter that every encoder call accepts besides the encoder's own: a local weights file."""
POOL = {"pool_size": "the pool's size", "pool_seed": "the seed of the pool's draw"}
"""Parameters of a drawn pool in a data set's label; in a grid they are not parameters of the data set."""


class FileCall(NamedTuple):
    """The parameters of ``indices(of=FILE)``.

    The supervision defaults to ``labels``, so that no coreset is called label-free by mistake.

    Attributes:
        of: file of the coreset.
        supervision: labels that the selection could see.
        sha256: SHA-256 that the coreset must have, or empty.
    """

    of: str
    supervision: Supervision
    sha256: str

    @classmethod
    def read(cls, call: Call) -> FileCall:
        """Return the validated parameters of a call.

        Raises:
            SpecError: a parameter is missing, unknown or not valid.
        """
        for name in call.params:
            if name not in cls._fields:
                raise UnknownName(f"parameter of method {INDICES!r}:", name, cls._fields)
        if not call.params.get("of"):
            raise SpecError(f"method {INDICES} needs the file of a coreset: {INDICES}(of=FILE.npy).")
        params = (Param("of", "", str), Param("supervision", "labels", Supervision), Param("sha256", "", str))
        # In the grammar of calls the bare word none is Python's None.
        values = {name: "none" if value is None else value for name, value in call.params.items()}
        return cls(*(param.validate(values.get(param.name, param.default), f"method {INDICES}") for param in params))


def check_names(spec: GridSpec) -> None:
    """Refuse unknown names and invalid parameters in the grid.

    Raises:
        UnknownName: a name is unknown; the message gives the nearest names.
        SpecError: a parameter is outside its range, or has no value for one of the rates.
    """
    if spec.pool_seed and spec.pool_size is None:
        raise SpecError(f"pool_seed={spec.pool_seed} draws nothing without --pool-size (YAML: pool_size).")
    for call in spec.datasets:
        for name, meaning in POOL.items():
            if name in call.params:
                option = name.replace("_", "-")
                raise SpecError(f"dataset {call.name}: {meaning} is the grid's; use --{option} (YAML: {name}).")
        datasets.get(call.name).resolve(call.params)
        check_corruption(call.name, check_modifiers(call.name, call.modifiers))
    for call in spec.encoders:
        encoders.get(call.name).resolve({name: value for name, value in call.params.items() if name != WEIGHTS})
    for call in (*spec.models, *((spec.proxy_model,) if spec.proxy_model else ())):
        models.get(call.name).resolve(call.params)
    for call in published(spec):
        FileCall.read(call)
    for call in _registered(spec):
        entry = methods.get(call.name)
        for rate in _rates(call, spec):
            params = entry.resolve(at_rate(call, rate))
            try:
                entry.info.check(params, rate)
                check_candidates(entry, params, rate)
            except SpecError as error:
                raise SpecError(f"method {call.name}: {error}") from error
    for call in spec.datasets:
        _recipe(call.name, None, spec)


def expand(
    spec: GridSpec,
    dataset_refs: Mapping[str, DatasetRef],
    encoder_refs: Mapping[str, EncoderRef],
    network_refs: Mapping[str, ModelRef],
    precisions: Sequence[Precision] = ("fp32", "bf16"),
    coresets: Mapping[tuple[str, str], Coreset] = MappingProxyType({}),
) -> list[Cell]:
    """Return all cells of a grid, each once, in reading order.

    Args:
        spec: the grid, with valid names.
        dataset_refs: call as text -> the data set that was opened.
        encoder_refs: call as text -> the encoder whose weights were found.
        network_refs: call as text -> the network, including proxies.
        precisions: precisions that the device offers; the first is what ``auto`` means. Results differ between them.
        coresets: data set and method as text -> the published coreset; a missing one has no cells.

    Raises:
        SpecError: a rate leaves too few images, or a recipe is not valid.
    """
    cells: dict[str, Cell] = {}
    for dataset in spec.datasets:
        for model in model_calls(spec, dataset):
            for encoder in encoder_calls(spec, dataset):
                refs = dataset_refs[str(dataset)], encoder_refs[str(encoder)]
                files = [coreset for call in published(spec) if (coreset := coresets.get((str(dataset), str(call))))]
                for cell in _block(spec, *refs, network_refs, model, precisions, files):
                    # Blocks that differ in their encoder have equal cells if nothing in these reads it.
                    first = cells.setdefault(cell.cell_id, cell)
                    # Possible for coresets from files, whose supervision is not part of the id.
                    if getattr(first, "supervision", None) != getattr(cell, "supervision", None):
                        raise SpecError(
                            f"{first.variant} and {cell.variant} keep the same images and state different supervision; "
                            "name one of them."
                        )
    return list(cells.values())


def encoder_calls(spec: GridSpec, dataset: Call) -> tuple[Call, ...]:
    """Return the grid's encoders for one data set: those that were named, or the data set's default."""
    return spec.encoders or (Call(datasets.get(dataset.name).info.encoder, {}),)


def model_calls(spec: GridSpec, dataset: Call) -> tuple[Call, ...]:
    """Return the grid's models for one data set: those that were named, or the data set's default."""
    return spec.models or (Call(datasets.get(dataset.name).info.model, {}),)


def network_calls(spec: GridSpec) -> list[Call]:
    """Return all networks that a grid trains: its models and the proxy model."""
    trained = [call for dataset in spec.datasets for call in model_calls(spec, dataset)]
    return [*trained, *([spec.proxy_model] if spec.proxy_model else [])]


def network_ref(call: Call) -> ModelRef:
    """Return the reference that identifies a network.

    Raises:
        SpecError: fine-tuning options were given without weights.
        WeightsError: the weights file is missing or unreadable, or does not have the given ``sha256``.
    """
    entry = models.get(call.name)
    params = entry.info.identified(entry.changed(call.params))
    return ModelRef(name=call.name, version=entry.info.version, params=dict(params))


def reads_embeddings(spec: GridSpec) -> bool:
    """Return whether any method, model or proxy of the grid needs an encoder."""
    trained = [call.name for call in spec.models] or [datasets.get(call.name).info.model for call in spec.datasets]
    proxies = [spec.proxy_model.name] if spec.proxy_model else trained
    rests_on = {
        resource
        for call in _registered(spec)
        for rate in _rates(call, spec)
        for resource in resources_of(call.name, at_rate(call, rate))
    }
    networks = [*trained, *(proxies if "proxy" in rests_on else [])]
    by_network = any(models.get(name).info.inputs == "embeddings" for name in networks)
    return by_network or "encoder" in rests_on


def at_rate(call: Call, rate: float) -> dict[str, Any]:
    """Return the parameters, with every mapping from rate to value replaced by the value at ``rate``.

    Raises:
        SpecError: a mapping has no value for the rate, or a key that is not a rate.
    """
    params = {}
    for name, value in call.params.items():
        if isinstance(value, Mapping):
            values = _by_rate(call.name, name, value)
            if rate not in values:
                rates = ", ".join(f"{key:g}" for key in sorted(values)) or "none"
                raise SpecError(f"method {call.name}: {name} has no value for rate {rate:g}; given for: {rates}.")
            value = values[rate]
        params[name] = value
    return params


def _by_rate(method: str, name: str, values: Mapping[Any, Any]) -> dict[float, Any]:
    try:
        return {float(str(key)): value for key, value in values.items()}
    except ValueError:
        raise SpecError(
            f"method {method}: {name}={values!r} is not valid: a mapping goes from rate to value, such as {{0.9: 0.3}}."
        ) from None


def _block(
    spec: GridSpec,
    dataset: DatasetRef,
    encoder: EncoderRef,
    network_refs: Mapping[str, ModelRef],
    model_call: Call,
    precisions: Sequence[Precision],
    files: Sequence[Coreset],
) -> Iterator[Cell]:
    model = network_refs[str(model_call)]
    recipe = _recipe(dataset.name, model_call, spec).at_precision(precisions)
    proxy_call = spec.proxy_model or model_call
    proxy_reads = models.get(proxy_call.name).info.inputs == "embeddings"
    proxy = Proxy(
        model=network_refs[str(proxy_call)],
        # With the recipe fields of the proxy's network, whose learning rate may differ.
        recipe=proxy_recipe(_recipe(dataset.name, proxy_call, spec).at_precision(precisions)),
        encoder=encoder if proxy_reads else None,
    )
    by_model = models.get(model.name).info.inputs == "embeddings"
    for call in _registered(spec):
        entry = methods.get(call.name)
        for rate in _rates(call, spec):
            # Without parameters at their defaults, so that a parameter added to a method later keeps earlier ids.
            params = entry.changed(at_rate(call, rate))
            if not models.get(model.name).info.learns and entry.info.weighted(entry.resolve(params)):
                raise SpecError(
                    f"method {call} weights the images that it keeps, and model {model.label} has no loss that they "
                    "could weight; train another, or turn the weights off if the method has a parameter for that."
                )
            rests_on = resources_of(call.name, params)
            uses_proxy = proxy if "proxy" in rests_on else None
            # Only if something reads it, so that a cell which reads no encoder is one cell under every encoder.
            uses_encoder = "encoder" in rests_on or by_model or (uses_proxy is not None and proxy_reads)
            budget = budget_for(dataset.size, rate)
            # A size of 0 means that the data set was not found.
            if dataset.size and budget < 2:
                raise SpecError(
                    f"rate {rate:g} keeps {budget} of the {dataset.size} images of {dataset.label}; "
                    "a model cannot be trained on fewer than 2."
                )
            for seed in spec.seeds:
                cell = Cell(
                    dataset=dataset,
                    method=call.name,
                    variant=spelled(call),
                    params=params,
                    encoder=encoder if uses_encoder else None,
                    rate=rate,
                    budget=budget,
                    seed=seed,
                    model=model,
                    recipe=recipe,
                    proxy=uses_proxy,
                )
                if uses_proxy and not models.get(proxy.model.name).info.learns and cell.selection().trains():
                    raise SpecError(
                        f"method {call} looks at how a network learns, and {proxy.model.label} does not learn; "
                        "name one that does with --proxy-model, such as linear_probe."
                    )
                yield cell
    for coreset in files:
        for seed in spec.seeds:
            yield PublishedCell(
                dataset=dataset,
                method=INDICES,
                variant=str(Call(INDICES, {"of": coreset.of})),
                params={"of": coreset.of, "sha256": coreset.sha256},
                encoder=encoder if by_model else None,
                rate=coreset.rate,  # from the file, whatever the grid's rates are
                budget=coreset.budget,
                seed=seed,
                model=model,
                recipe=recipe,
                proxy=None,
                supervision=coreset.supervision,
            )


def published(spec: GridSpec) -> list[Call]:
    """Return the calls ``indices(of=FILE)`` of a grid, which are not plugins."""
    return [call for call in spec.methods if call.name == INDICES]


def _registered(spec: GridSpec) -> list[Call]:
    return [call for call in spec.methods if call.name != INDICES]


def _rates(call: Call, spec: GridSpec) -> tuple[float, ...]:
    return (0.0,) if methods.get(call.name).info.unpruned else spec.rates


def spelled(call: Call) -> str:
    """Return the one spelling of a call: without parameters, or mappings from rate, that are at their defaults."""
    entry = methods.get(call.name)
    fixed = {name: value for name, value in call.params.items() if not isinstance(value, Mapping)}
    changed = entry.changed(fixed)
    for name, mapping in call.params.items():
        if name in fixed:
            continue
        by_rate = _by_rate(call.name, name, mapping)
        values = {rate: entry.resolve({name: value})[name] for rate, value in by_rate.items()}
        if any(value != entry.params[name].default for value in values.values()):
            changed[name] = dict(sorted(values.items()))
    return str(Call(call.name, changed))


def _recipe(dataset: str, model: Call | None, spec: GridSpec) -> Recipe:
    """Return the data set's recipe with the model's fields, then the user's fields, and then the scale applied."""
    overrides = dict(models.get(model.name).info.recipe_of(model.params)) if model else {}
    fields = {**datasets.get(dataset).info.recipe.model_dump(), **overrides, **spec.recipe}
    try:
        recipe = Recipe(**fields)
    except ValidationError as error:
        name, given, valid = first_refused(error, Recipe.model_json_schema())
        what = f": {name}={given!r}" if name else ""
        raise SpecError(f"the recipe for {dataset}{what} is not valid: {valid}") from None
    return recipe if spec.scale == 1 else recipe.scaled(spec.scale)
