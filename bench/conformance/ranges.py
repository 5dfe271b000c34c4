"""Extreme values of a method's parameters, from their annotations."""

from __future__ import annotations

import enum
import math
import types
from collections.abc import Iterator
from itertools import combinations, product
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from bench.errors import SpecError
from bench.plugins import MethodInfo
from bench.registry import Entry, Param

FAR = 1e6
"""Extreme value of a float without a bound."""
_BOUNDS = ("ge", "gt", "le", "lt")


def range_ends(param: Param, size: int) -> list[Any]:
    """Return the extreme values of a parameter: both bounds of a number, every value of a choice.

    ``Annotated[int, Field(ge=1)]`` gives 1 and N + 1, which exceeds every pool of N images. A float without a bound
    gives 1e6, an exclusive bound the nearest number inside. ``Literal``, ``bool``, enumerations and ``None`` give all
    their values, and a union the extremes of its members. Texts and containers have none.

    Args:
        param: the parameter.
        size: N of the pool that the values will be tried on.

    Returns:
        Values that the parameter accepts, without repetition and without the default.
    """
    accepted: list[Any] = []
    for value in _range_ends(param.annotation, {}, size):
        try:
            valid = param.validate(value, "")
        except SpecError:
            continue  # another rule of the annotation, such as a multiple
        # 1, 1.0 and True are equal, but not the same choice.
        if not any(type(valid) is type(other) and valid == other for other in [param.default, *accepted]):
            accepted.append(valid)
    return accepted


def one_by_one(entry: Entry[MethodInfo], size: int) -> list[dict[str, Any]]:
    """Return the defaults (an empty mapping), then each extreme of each parameter with the others at their defaults."""
    return [{}, *({name: value} for name, param in entry.params.items() for value in range_ends(param, size))]


def choices(entry: Entry[MethodInfo], size: int) -> list[dict[str, Any]]:
    """Return the settings of ``one_by_one`` that set no number; what a method reads may depend on them."""
    return [
        params
        for params in one_by_one(entry, size)
        if all(isinstance(value, bool) or not isinstance(value, int | float) for value in params.values())
    ]


def pairs(entry: Entry[MethodInfo], size: int) -> Iterator[dict[str, Any]]:
    """Yield every pair of extremes of every two parameters, with the others at their defaults."""
    for first, second in combinations(entry.params.values(), 2):
        for values in product(range_ends(first, size), range_ends(second, size)):
            yield {first.name: values[0], second.name: values[1]}


def _range_ends(annotation: Any, bounds: dict[str, Any], size: int) -> list[Any]:
    origin, inside = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _range_ends(inside[0], {**bounds, **_bounds(inside[1:])}, size)
    if origin in (Union, types.UnionType):
        return [value for member in inside for value in _range_ends(member, bounds, size)]
    if origin is Literal:
        return list(inside)
    if annotation in (None, type(None)):
        return [None]
    if annotation is bool:
        return [False, True]
    if annotation is int:
        return _integers(bounds, size)
    if annotation is float:
        return _floats(bounds)
    if isinstance(annotation, type) and issubclass(annotation, enum.Enum):
        return list(annotation)
    return []


def _bounds(metadata: tuple[Any, ...]) -> dict[str, Any]:
    """Return the bounds: ``Field(ge=0)`` has a list of constraints, ``annotated_types.Ge(0)`` is one itself."""
    constraints = [item for entry in metadata for item in getattr(entry, "metadata", [entry])]
    return {
        name: getattr(item, name) for item in constraints for name in _BOUNDS if getattr(item, name, None) is not None
    }


def _integers(bounds: dict[str, Any], size: int) -> list[int]:
    low = bounds["ge"] if "ge" in bounds else bounds["gt"] + 1 if "gt" in bounds else None
    high = bounds["le"] if "le" in bounds else bounds["lt"] - 1 if "lt" in bounds else None
    if low is None:
        # Without a bound, a number that a careless method does not expect: a negative one.
        low = min(-1, high if high is not None else 0)
    if high is None:
        # More than the images: methods must limit clusters, neighbours and strata to the size of the pool.
        high = max(size + 1, low)
    # 0 too if it is inside the range: a method may divide by it.
    return [low, high] if low > 0 or high < 0 else [low, 0, high]


def _floats(bounds: dict[str, Any]) -> list[float]:
    low = bounds["ge"] if "ge" in bounds else math.nextafter(bounds["gt"], math.inf) if "gt" in bounds else None
    high = bounds["le"] if "le" in bounds else math.nextafter(bounds["lt"], -math.inf) if "lt" in bounds else None
    if low is None:
        low = min(-FAR, high if high is not None else 0.0)
    if high is None:
        high = max(FAR, low)
    return [float(low), float(high)] if low > 0 or high < 0 else [float(low), 0.0, float(high)]
