"""The grid that a user asks for, from presets, YAML and the command line, checked before anything starts."""

from __future__ import annotations

import math
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator, model_validator

from bench.errors import SpecError, UnknownName
from bench.grammar import Call, parse_call, split_list
from bench.grid.config_text import MOST_CHARACTERS, parse_config
from bench.plain_files import read_regular
from bench.recipe import Recipe
from bench.valid import first_refused

Rate = Annotated[float, Field(ge=0, lt=1)]
# Without scale, which marks a shortened recipe: only GridSpec.scale shortens one.
_RECIPE_FIELDS = tuple(name for name in Recipe.model_fields if name != "scale")
MOST_VALUES = 1000
"""Largest number of values of one field; more are hardly intended."""
MOST_CELLS = 100_000
"""Largest number of cells of one grid, before equal ones are merged. The plan of such a grid takes a minute."""
_MOST_BYTES = 4 * MOST_CHARACTERS
"""Largest configuration file in bytes: a UTF-8 character has up to four."""
_FACTORS = ("methods", "datasets", "encoders", "models", "rates", "seeds")


class GridSpec(BaseModel):
    """A grid: every method on every data set, at every rate, with every encoder, model and seed.

    ``bench.fields.GridFields`` documents the fields; this class parses and checks them. Encoders and models default to
    each data set's own, the proxy model to the model that is trained on the coreset.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)

    methods: tuple[Call, ...] = (Call("random", {}), Call("elfs", {}))
    datasets: tuple[Call, ...] = (Call("digits", {}),)
    encoders: tuple[Call, ...] = ()
    models: tuple[Call, ...] = ()
    rates: tuple[Rate, ...] = (0.3, 0.5, 0.7, 0.8, 0.9)
    seeds: tuple[Annotated[int, Field(ge=0)], ...] = (0,)
    pool_size: Annotated[int, Field(ge=1)] | None = None
    pool_seed: Annotated[int, Field(ge=0)] = 0
    proxy_model: Call | None = None
    recipe: dict[str, Any] = {}
    scale: Annotated[float, Field(gt=0, le=1)] = 1.0

    @field_validator("methods", "datasets", "encoders", "models", mode="before")
    @classmethod
    def _calls(cls, given: Any, info: ValidationInfo) -> tuple[Call, ...]:
        items = split_list(given) if isinstance(given, str) else given
        if not isinstance(items, list | tuple):
            raise SpecError(f"expected a list of names, got {_shown(given)}.")
        read = parse_call if info.field_name == "datasets" else _unmodified
        calls = [item if isinstance(item, Call) else read(item) for item in items]
        # By their text, since parameters may hold a mapping, which cannot be hashed.
        return tuple({str(call): call for call in calls}.values())

    @field_validator("proxy_model", mode="before")
    @classmethod
    def _call(cls, given: Any) -> Call | None:
        return given if given is None or isinstance(given, Call) else _unmodified(given)

    @field_validator("rates", mode="before")
    @classmethod
    def _rates(cls, given: Any) -> Any:
        items = _items(given)
        fractions = [_fraction(item) for item in items]
        rule = f"a rate is the fraction of the pool that is removed, at least 0 and less than 1, got {_shown(given)}"
        if fractions != [str(item).strip() for item in items]:
            raise SpecError(f"{rule}; if percent was meant, write {_cut(','.join(fractions))}.")
        rates = _numbers(given, float)
        if not all(0 <= rate < 1 for rate in rates):
            raise SpecError(f"{rule}.")
        return rates

    @field_validator("seeds", mode="before")
    @classmethod
    def _seeds(cls, given: Any) -> Any:
        # ``3`` is a number of seeds and ``3,`` a list of one, as in Python.
        is_number = isinstance(given, int) or (isinstance(given, str) and given.strip() and "," not in given)
        if not is_number:
            return _numbers(given.strip().removesuffix(",") if isinstance(given, str) else given, int)
        [count] = _numbers(given, int)
        if not 1 <= count <= MOST_VALUES:
            raise SpecError(
                f"one number is how many seeds to use, 1 to {MOST_VALUES}, got {count}; "
                "for one seed of your choice, such as 7, write '7,' or, in YAML, [7]."
            )
        return tuple(range(count))

    @field_validator("methods", "datasets", "rates", "seeds")
    @classmethod
    def _some(cls, value: tuple[Any, ...]) -> tuple[Any, ...]:
        if not value:
            raise SpecError("needs at least one value.")
        return value

    @field_validator(*_FACTORS)
    @classmethod
    def _not_too_many(cls, value: tuple[Any, ...]) -> tuple[Any, ...]:
        if len(value) > MOST_VALUES:
            raise SpecError(f"has {len(value):,} values; at most {MOST_VALUES:,} are valid.")
        return value

    @model_validator(mode="after")
    def _not_too_large(self) -> GridSpec:
        sizes = {name: len(getattr(self, name)) or 1 for name in _FACTORS}
        if math.prod(sizes.values()) > MOST_CELLS:
            product = " x ".join(f"{size} {name}" for name, size in sizes.items() if size > 1)
            raise SpecError(
                f"the grid has up to {math.prod(sizes.values()):,} cells ({product}); at most {MOST_CELLS:,} are "
                "valid: divide it into several runs, which may have the same --out."
            )
        return self

    @field_validator("recipe")
    @classmethod
    def _known_fields(cls, value: dict[str, Any]) -> dict[str, Any]:
        for name in value:
            if name not in _RECIPE_FIELDS:
                raise UnknownName("field", name, _RECIPE_FIELDS)
        return value


def load_spec(
    *, preset: str | None = None, config: Path | None = None, given: Mapping[str, Any], source: str = "the command line"
) -> GridSpec:
    """Return the grid of a preset, a YAML file and given fields; the later ones win, field by field.

    Args:
        preset: name of a packaged grid, see ``preset_names``.
        config: YAML file with the fields of ``GridSpec``.
        given: fields from the command line or a call; None for a field that was not given.
        source: where ``given`` comes from, for messages.

    Raises:
        SpecError: an unknown preset or field, an unreadable file, or a value that is not valid.
    """
    layers: list[tuple[str, Mapping[str, Any]]] = []
    if preset is not None:
        layers.append((f"preset {preset}", _preset(preset)))
    if config is not None:
        layers.append((str(config), _read_yaml(config)))
    plain = {key: _plain(value) for key, value in given.items()}
    layers.append((source, {key: value for key, value in plain.items() if value not in (None, {})}))
    merged: dict[str, Any] = {}
    origin: dict[str, str] = {}
    for where, layer in layers:
        for key, value in layer.items():
            if key not in GridSpec.model_fields:
                raise UnknownName(f"field in {where}:", str(key), GridSpec.model_fields)
            # A recipe is merged field by field: --recipe lr=0.1 keeps a preset's other fields.
            both_mappings = isinstance(merged.get(key), Mapping) and isinstance(value, Mapping)
            merged[key] = {**merged[key], **value} if both_mappings else value
            origin[key] = where
    return _validated(merged, origin)


def _plain(value: Any) -> Any:
    """Return a list for what a notebook writes as ``seeds=range(3)`` or ``rates=np.linspace(0.1, 0.9, 9)``."""
    if isinstance(value, range):
        return list(value)
    return value.tolist() if hasattr(value, "tolist") else value


def preset_names() -> list[str]:
    """Return the names of the packaged grids."""
    return sorted(
        item.name.removesuffix(".yaml") for item in files("bench.presets").iterdir() if item.name[-5:] == ".yaml"
    )


def _preset(name: str) -> Mapping[str, Any]:
    if name not in preset_names():
        raise UnknownName("preset", name, preset_names())
    return parse_config(files("bench.presets").joinpath(f"{name}.yaml").read_text(encoding="utf-8"), f"preset {name}")


def _read_yaml(path: Path) -> Mapping[str, Any]:
    try:
        text = read_regular(path, at_most=_MOST_BYTES).decode()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise SpecError(f"cannot read the config file {path}: {reason}.") from error
    return parse_config(text, str(path))


def _validated(fields: Mapping[str, Any], origin: Mapping[str, str]) -> GridSpec:
    """Return the grid, validated one field at a time, so that a message begins with the field and its origin."""
    for name, value in fields.items():
        where = f"{name} (from {origin[name]})"
        try:
            GridSpec.model_validate({name: value})
        except ValidationError as error:
            _, value, valid = first_refused(error, GridSpec.model_json_schema())
            raise SpecError(f"{where}: {_shown(value)} is not valid: {valid}") from None
        except SpecError as error:
            raise SpecError(f"{where}: {error}") from None
    # All together, for rules on several fields.
    return GridSpec.model_validate(fields)


def _unmodified(given: Any) -> Call:
    call = parse_call(given)
    if call.modifiers:
        raise SpecError(f"only a data set takes modifiers such as @noise=0.2, got {str(call)!r}.")
    return call


def _numbers(given: Any, kind: type) -> tuple[Any, ...]:
    try:
        # Through text, since int(2.5) would silently drop the half.
        numbers = [kind(str(item)) for item in _items(given)]
    except ValueError:
        what = "whole numbers" if kind is int else "numbers"
        raise SpecError(f"must be {what}, got {_shown(given)}.") from None
    return tuple(dict.fromkeys(numbers))


def _shown(given: Any) -> str:
    """Return the value as text for an error, cut to a readable length."""
    return _cut(repr(given))


def _cut(text: str) -> str:
    return text if len(text) <= 200 else f"{text[:200]}..."


def _items(given: Any) -> list[Any]:
    return split_list(given) if isinstance(given, str) else list(given) if isinstance(given, list | tuple) else [given]


def _fraction(given: Any) -> str:
    """Return the fraction of an obvious percentage, such as 90 or 50%, as text; other values stay as they are."""
    text = str(given).strip()
    number = text.removesuffix("%").strip()
    try:
        percent = float(number)
    except ValueError:
        return text
    return f"{percent / 100:g}" if (text != number or percent >= 2) and 0 <= percent < 100 else text
