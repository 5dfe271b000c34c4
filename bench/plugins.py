"""Declarations of the four kinds of plugins, and the decorators that register them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

from bench.code_digest import code_digest
from bench.data import Split
from bench.errors import RegistrationError, did_you_mean
from bench.identity import INDICES
from bench.parts import DYNAMICS, SUPERVISIONS, Need, Supervision, need
from bench.recipe import Recipe
from bench.registry import Entry, Registry

Function = TypeVar("Function", bound=Callable[..., Any])
Info = TypeVar("Info", "DatasetInfo", "EncoderInfo", "ModelInfo")
Trained = Literal["none", "self-supervised", "language", "labels"]
"""Supervision that an encoder was trained with."""


@dataclass(frozen=True)
class MethodInfo:
    """Declaration of a method: the arguments of ``register_method``, with ``needs`` and ``weighted`` as functions."""

    supervision: Supervision
    needs: Callable[[Mapping[str, Any]], Sequence[Need]]
    paper: str
    version: int = 1
    stochastic: bool = False
    unpruned: bool = False
    check: Callable[[Mapping[str, Any], float], None] = lambda params, rate: None
    weighted: Callable[[Mapping[str, Any]], bool] = lambda params: False


@dataclass(frozen=True)
class Corrupted:
    """Published corrupted versions of a data set's test split, ``@corruption=NAME:SEVERITY``.

    Args:
        names: names of the corruptions.
        severities: number of severities, which count from 1.
        read: (root, name, severity, test split, download) -> the corrupted test split; raises ``DataError`` if its
            files are missing.
    """

    names: tuple[str, ...]
    severities: int
    read: Callable[[Path | None, str, int, Split, bool], Split]


@dataclass(frozen=True)
class DatasetInfo:
    """Declaration of a data set.

    Args:
        num_classes: C, or None if only the data on disk can tell.
        image_size: side of the square images in pixels, or None if only the data on disk can tell.
        mean: per-channel mean of the training images in [0, 1].
        std: per-channel standard deviation in [0, 1].
        recipe: how models are trained on it.
        model: default model.
        encoder: default encoder.
        source: origin of the images.
        version: raise it when the images, normalisation or order change for a reason that their content does not show.
        corrupted: published corrupted versions of the test split, if there are any.
    """

    num_classes: int | None
    image_size: int | None
    mean: tuple[float, ...]
    std: tuple[float, ...]
    recipe: Recipe
    model: str
    encoder: str
    source: str
    version: int = 1
    corrupted: Corrupted | None = None


@dataclass(frozen=True)
class EncoderInfo:
    """Declaration of an encoder.

    Args:
        supervision: supervision that the encoder was trained with: ``none``, ``self-supervised``, ``language`` or
            ``labels``; or a function from the user's parameters to one of these, which raises ``SpecError`` if they
            do not tell.
        source: paper or package.
        weights: object that locates or downloads the weights file, or a function from the user's parameters to such an
            object; None for an encoder without weights.
        version: raise it when the embeddings change, so that stored ones are not reused.
        fitted: whether it learns from the pool's images before it embeds, see
            ``bench.embedding.encoder.FittedEncoder``.
        memory: (all parameters, images N, shape (C, H, W)) -> bytes that fitting needs besides the images, for the
            estimates before a run.
        passes: (all parameters) -> number of passes over the pool's images that fitting takes, for the estimate of
            time before a run; None if that is not known.
        gpu: whether it uses a GPU; otherwise none is reserved.
        files: (weights file) -> all files that the embeddings depend on, if there are more than the weights.
    """

    supervision: Trained | Callable[[Mapping[str, Any]], Trained]
    source: str
    weights: Any = None
    version: int = 1
    fitted: bool = False
    memory: Callable[[Mapping[str, Any], int, tuple[int, ...]], int] = lambda params, images, shape: 0
    passes: Callable[[Mapping[str, Any]], float] | None = None
    gpu: bool = True
    files: Callable[[Path], Sequence[Path]] = lambda weights: [weights]

    def trained_with(self, params: Mapping[str, Any]) -> Trained:
        """Return the supervision that the encoder was trained with, given the parameters that the user set.

        Raises:
            SpecError: the parameters do not tell.
        """
        return self.supervision(params) if callable(self.supervision) else self.supervision

    def weights_of(self, params: Mapping[str, Any]) -> Any:
        """Return the object that locates the weights, given the parameters that the user set; None without weights."""
        return self.weights(params) if callable(self.weights) else self.weights


@dataclass(frozen=True)
class ModelInfo:
    """Declaration of a model.

    Args:
        inputs: ``images`` or ``embeddings``.
        source: paper.
        recipe: fields of the data set's recipe that this model overrides, or a function from the user's parameters to
            such fields.
        version: raise it when the network changes, so that stored results are not reused.
        identified: user's parameters -> the parameters that identify the network, with digests of the files that they
            name; raises ``BenchError`` if a file cannot be read.
        learns: whether it is trained step by step. A model that is not has ``remember(inputs, targets)``, which is
            called once, and cannot be a proxy.
    """

    inputs: Literal["images", "embeddings"]
    source: str
    recipe: Mapping[str, Any] | Callable[[Mapping[str, Any]], Mapping[str, Any]] = field(default_factory=dict)
    version: int = 1
    identified: Callable[[Mapping[str, Any]], Mapping[str, Any]] = dict
    learns: bool = True

    def recipe_of(self, params: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the recipe's fields that the model overrides, given the parameters that the user set."""
        return self.recipe(params) if callable(self.recipe) else self.recipe


methods: Registry[MethodInfo] = Registry("method", "bench.methods", "bench.methods", ("pool", "budget", "rng"))
datasets: Registry[DatasetInfo] = Registry("dataset", "bench.datasets", "bench.datasets", ("root",))
encoders: Registry[EncoderInfo] = Registry("encoder", "bench.encoders", "bench.encoders", ("weights",))
models: Registry[ModelInfo] = Registry("model", "bench.models", "bench.models", ("shape", "num_classes"))


def registered_by_hand() -> list[Entry[Any]]:
    """Return the plugins that a worker must be sent: those from a notebook, a script or a ``--plugin`` file.

    Their digests go along, since a worker may lack the file that a method's digest is made of.
    """
    entries = [entry for registry in (methods, datasets, encoders, models) for entry in registry.by_hand()]
    return [dataclasses.replace(entry, code=code_digest(entry.function, entry.info.version)) for entry in entries]


def register_again(entries: Iterable[Entry[Any]]) -> None:
    """Register in a worker the plugins that ``registered_by_hand`` returned in the driver."""
    registries: dict[str, Registry[Any]] = {item.kind: item for item in (methods, datasets, encoders, models)}
    for entry in entries:
        registries[entry.kind].add(entry.name, entry.function, entry.info, entry.code)


def register_method(
    name: str,
    *,
    supervision: Supervision,
    needs: Sequence[str | Need] | Callable[[Mapping[str, Any]], Sequence[str | Need]] = (),
    paper: str = "",
    version: int = 1,
    stochastic: bool = False,
    unpruned: bool = False,
    check: Callable[[Mapping[str, Any], float], None] = lambda params, rate: None,
    weighted: bool | Callable[[Mapping[str, Any]], bool] = False,
) -> Callable[[Function], Function]:
    """Register a method: ``function(pool, budget, rng, *, parameters)``, which returns ``budget`` pool indices.

    Args:
        name: name that users type.
        supervision: labels that the method may see when it selects: ``none``, ``pseudo`` (its own pseudo-labels),
            ``coreset`` (the labels of images that it has committed to keep) or ``labels`` (all). The pool refuses to
            hand out more.
        needs: parts of the pool that the method reads: names, ``need(...)`` objects, or a function from the method's
            parameters to either.
        paper: citation, shown by ``bench list methods``.
        version: raise it when the method's result changes, so that cached selections are not reused.
        stochastic: whether different seeds may give different coresets on the same inputs.
        unpruned: whether the method keeps the whole pool; only ``full`` does.
        check: (parameters, rate) -> None; raises ``SpecError`` for a combination that the method cannot meet.
        weighted: whether the method may return weights (``bench.Weighted``), with which some models cannot be trained,
            or a function from its parameters to that.

    Raises:
        RegistrationError: a bad name, signature, docstring or declaration, or a name that another function has.
    """
    if supervision not in SUPERVISIONS:
        raise RegistrationError(
            f"method {name!r}: supervision must be one of {', '.join(SUPERVISIONS)}, got {supervision!r}."
            f"{did_you_mean(supervision, SUPERVISIONS)}"
        )
    if name == INDICES:
        raise RegistrationError(f"method {name!r}: the name is taken by coresets from files, {INDICES}(of=FILE).")
    # Tables know the one method without a rate by its name.
    if unpruned and name != "full":
        raise RegistrationError(f"method {name!r}: unpruned=True is for 'full', which tables compare the others with.")
    may_weight = weighted if callable(weighted) else lambda params: weighted
    info = MethodInfo(
        supervision, _needs_of(needs, supervision), paper, version, stochastic, unpruned, check, may_weight
    )
    return lambda function: methods.add(name, function, info)


def _needs_of(
    needs: Sequence[str | Need] | Callable[[Mapping[str, Any]], Sequence[str | Need]], supervision: Supervision
) -> Callable[[Mapping[str, Any]], Sequence[Need]]:
    """Return a function from parameters to needs; a fixed list is checked at once."""
    if isinstance(needs, str):
        raise RegistrationError(f"needs={needs!r} is not valid: give a list of names, such as needs=({needs!r},).")
    if callable(needs):
        return lambda params: _as_needs(needs(params), supervision)
    fixed = _as_needs(needs, supervision)
    return lambda params: fixed


def _as_needs(items: Iterable[str | Need], supervision: Supervision) -> tuple[Need, ...]:
    """Return the needs as objects; dynamics default to those on true labels if the method may read labels."""
    # Dynamics on true labels need the supervision of labels; under any other they could never be read.
    of: dict[str, Any] = {"of": "labels" if supervision == "labels" else "pseudo"}
    declared = (item if isinstance(item, Need) else Need(item) for item in items)
    return tuple(
        need(item.part, **(of if item.part == DYNAMICS.name else {}) | dict(item.options)) for item in declared
    )


def register_dataset(name: str, **declaration: Any) -> Callable[[Function], Function]:
    """Register a data set: ``function(root, *, download=False, parameters) -> Dataset``.

    Args:
        name: name that users type.
        **declaration: the fields of ``bench.plugins.DatasetInfo``.

    Raises:
        RegistrationError: a field is unknown, missing or not valid, or see ``Registry.add``.
    """
    return lambda function: datasets.add(name, function, _declare(datasets, DatasetInfo, name, declaration))


def register_encoder(name: str, **declaration: Any) -> Callable[[Function], Function]:
    """Register an encoder: ``function(weights, *, parameters) -> Encoder``.

    Args:
        name: name that users type.
        **declaration: the fields of ``bench.plugins.EncoderInfo``.

    Raises:
        RegistrationError: see ``register_dataset``.
    """
    return lambda function: encoders.add(name, function, _declare(encoders, EncoderInfo, name, declaration))


def register_model(name: str, **declaration: Any) -> Callable[[Function], Function]:
    """Register a model: ``function(shape, num_classes, *, parameters) -> torch.nn.Module``.

    Args:
        name: name that users type.
        **declaration: the fields of ``bench.plugins.ModelInfo``.

    Raises:
        RegistrationError: see ``register_dataset``.
    """
    return lambda function: models.add(name, function, _declare(models, ModelInfo, name, declaration))


def _declare(registry: Registry[Any], info: type[Info], name: str, declaration: Mapping[str, Any]) -> Info:
    """Return the declaration as an object, or refuse unknown and missing fields, and values outside a closed choice."""
    fields = [item.name for item in dataclasses.fields(info)]
    required = [
        item.name
        for item in dataclasses.fields(info)
        if item.default is dataclasses.MISSING and item.default_factory is dataclasses.MISSING
    ]
    unknown = [key for key in declaration if key not in fields]
    missing = [key for key in required if key not in declaration]
    if unknown or missing:
        what = f"has no field {', '.join(unknown)}" if unknown else f"lacks {', '.join(missing)}"
        raise RegistrationError(f"{registry.kind} {name!r}: the declaration {what}; fields: {', '.join(fields)}.")
    for key, hint in get_type_hints(info).items():
        choices = get_args(hint) if get_origin(hint) is Literal else _first_choices(get_args(hint))
        computed = callable(declaration.get(key)) and get_origin(hint) is not Literal
        if choices and not computed and declaration[key] not in choices:
            raise RegistrationError(
                f"{registry.kind} {name!r}: {key} must be one of {', '.join(choices)}, got {declaration[key]!r}."
            )
    return info(**declaration)


def _first_choices(hints: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return the values of the first closed choice in a union whose other members compute one."""
    return next((get_args(item) for item in hints if get_origin(item) is Literal), ())
