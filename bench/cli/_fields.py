"""Options of a command out of dataclasses, one group of ``--help`` each, so that no command has thirty parameters."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from dataclasses import MISSING, fields, is_dataclass
from functools import cache
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import typer
from annotated_types import Ge
from typer.models import OptionInfo

from bench.cli import _complete
from bench.fields import FieldText

_COMPLETED = {
    "device": _complete.devices,
    "preset": _complete.presets,
    "proxy_model": _complete.one_of("models"),
    "track": _complete.trackers,
    **{kind: _complete.several(kind) for kind in ("methods", "datasets", "encoders", "models")},
}
"""What the shell offers behind a field of ``bench.fields``."""


def spread(command: Callable[..., None]) -> Callable[..., None]:
    """Make of a command what Typer reads: each parameter that is a dataclass becomes an option per field.

    A field's annotation holds a ``typer.Option`` or a ``bench.fields.FieldText``; the class names its ``panel``.
    """
    hints = get_type_hints(command, include_extras=True)
    groups: dict[str, Any] = {name: hint for name, hint in hints.items() if is_dataclass(hint)}

    def flat(**given: Any) -> None:
        made: dict[str, Any] = {
            name: group(**{field.name: given.pop(field.name) for field in fields(group) if field.name in given})
            for name, group in groups.items()
        }
        command(**made, **given)

    # Typer takes the command's name and its help from these.
    flat.__name__, flat.__doc__ = command.__name__, command.__doc__
    parameters = list(_parameters(command, hints, groups))
    # Typer reads signature and annotations, and passes what it read as keywords.
    flat.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    flat.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return flat


def option(group: Any, name: str, **otherwise: Any) -> OptionInfo:
    """Return the option of one field of a dataclass.

    Args:
        group: the dataclass.
        name: of the field.
        **otherwise: keywords of ``typer.Option`` that this command has in place of the field's.
    """
    hint = _hints(group)[name]
    means = next(item for item in get_args(hint) if isinstance(item, OptionInfo | FieldText))
    if isinstance(means, OptionInfo):
        means.rich_help_panel = group.panel
        return means
    words = [f"--{name.replace('_', '-')}"] if _plain(hint) is bool else []  # no --no-NAME
    keywords = {
        "help": means.help,
        "min": next((item.ge for item in _metadata(hint) if isinstance(item, Ge)), None),
        "envvar": means.env or None,
        "autocompletion": _COMPLETED.get(name),
        "metavar": "<str>" if _plain(hint) == list[str] | None else None,  # of which each may be a list
        "rich_help_panel": group.panel,
    }
    made: OptionInfo = typer.Option(*words, **{**keywords, **otherwise})
    return made


@cache
def _hints(group: Any) -> dict[str, Any]:
    """Annotations of a dataclass, read once: every ``--help`` waits for this."""
    return get_type_hints(group, include_extras=True)


def _parameters(
    command: Callable[..., None], hints: dict[str, Any], groups: dict[str, Any]
) -> Iterator[inspect.Parameter]:
    kind = inspect.Parameter.KEYWORD_ONLY
    for name, parameter in inspect.signature(command).parameters.items():
        if name not in groups:
            yield inspect.Parameter(name, kind, default=parameter.default, annotation=hints[name])
            continue
        types = _hints(groups[name])
        for field in fields(groups[name]):
            made: Any = Annotated[_plain(types[field.name]), option(groups[name], field.name)]
            default = inspect.Parameter.empty if field.default is MISSING else field.default
            yield inspect.Parameter(field.name, kind, default=default, annotation=made)


def _plain(hint: Any) -> Any:
    """Return the bare type, without annotations; of several types the first, which is what a command line holds."""
    if get_origin(hint) is Annotated:
        return _plain(get_args(hint)[0])
    if get_origin(hint) not in (Union, UnionType):
        return hint
    kinds = [kind for kind in get_args(hint) if kind is not NoneType]
    # Typer knows no union but with None; what else a field may hold is parsed from the text later.
    return _plain(kinds[0]) if len(kinds) == len(get_args(hint)) else _plain(kinds[0]) | None


def _metadata(hint: Any) -> Iterator[Any]:
    """Yield what annotations say of a type and of those inside it."""
    yield from getattr(hint, "__metadata__", ())
    for inner in get_args(hint):
        # The arguments of a Literal are values and no types.
        if get_origin(hint) is not Literal:
            yield from _metadata(inner)
