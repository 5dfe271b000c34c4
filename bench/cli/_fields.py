"""Options of a command from dataclasses, one group of ``--help`` each, so that no command has thirty parameters."""

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
    "device": _complete.one_of("devices"),
    "preset": _complete.presets,
    "proxy_model": _complete.one_of("models"),
    "track": _complete.several("trackers"),
    **{kind: _complete.several(kind) for kind in ("methods", "datasets", "encoders", "models")},
}
"""Shell completion of the fields of ``bench.fields``."""


def spread(command: Callable[..., None]) -> Callable[..., None]:
    """Return the command in the form that Typer reads: each parameter that is a dataclass becomes an option per field.

    A field's annotation holds a ``typer.Option`` or a ``bench.fields.FieldText``; the class names its ``panel``.
    """
    hints = get_type_hints(command, include_extras=True)
    groups: dict[str, Any] = {name: hint for name, hint in hints.items() if is_dataclass(hint)}

    def flat(**values: Any) -> None:
        objects: dict[str, Any] = {
            name: group(**{field.name: values.pop(field.name) for field in fields(group) if field.name in values})
            for name, group in groups.items()
        }
        command(**objects, **values)

    # From these, Typer takes the command's name and its help.
    flat.__name__, flat.__doc__ = command.__name__, command.__doc__
    parameters = list(_parameters(command, hints, groups))
    # Typer reads signature and annotations, and passes the values as keywords.
    flat.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    flat.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return flat


def option(group: Any, name: str, **overrides: Any) -> OptionInfo:
    """Return the option of one field of a dataclass.

    Args:
        group: the dataclass.
        name: name of the field.
        **overrides: keywords of ``typer.Option`` that replace those of the field for this command.
    """
    hint = _hints(group)[name]
    declared = next(item for item in get_args(hint) if isinstance(item, OptionInfo | FieldText))
    if isinstance(declared, OptionInfo):
        declared.rich_help_panel = group.panel
        return declared
    words = [f"--{name.replace('_', '-')}"] if _plain(hint) is bool else []  # no --no-NAME
    keywords = {
        "help": declared.help,
        "min": next((item.ge for item in _metadata(hint) if isinstance(item, Ge)), None),
        "envvar": declared.env or None,
        "autocompletion": _COMPLETED.get(name),
        "metavar": "<str>" if _plain(hint) == list[str] | None else None,  # each value may be a list
        "rich_help_panel": group.panel,
    }
    result: OptionInfo = typer.Option(*words, **{**keywords, **overrides})
    return result


@cache
def _hints(group: Any) -> dict[str, Any]:
    """Return the annotations of a dataclass, cached, since every ``--help`` waits for them."""
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
            annotation: Any = Annotated[_plain(types[field.name]), option(groups[name], field.name)]
            default = inspect.Parameter.empty if field.default is MISSING else field.default
            yield inspect.Parameter(field.name, kind, default=default, annotation=annotation)


def _plain(hint: Any) -> Any:
    """Return the type without annotations; of a union the first type, which is the one a command line gives."""
    if get_origin(hint) is Annotated:
        return _plain(get_args(hint)[0])
    if get_origin(hint) not in (Union, UnionType):
        return hint
    kinds = [kind for kind in get_args(hint) if kind is not NoneType]
    # Typer supports only unions with None; other types of a field are parsed from the text later.
    return _plain(kinds[0]) if len(kinds) == len(get_args(hint)) else _plain(kinds[0]) | None


def _metadata(hint: Any) -> Iterator[Any]:
    """Yield the metadata of annotations of a type and of the types inside it."""
    yield from getattr(hint, "__metadata__", ())
    for inner in get_args(hint):
        # The arguments of a Literal are values, not types.
        if get_origin(hint) is not Literal:
            yield from _metadata(inner)
