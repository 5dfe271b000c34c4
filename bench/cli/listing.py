"""``bench list``: registered plugins with their parameters, defaults, supervision and source."""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from bench.registry import Entry, Registry


Kind = Literal["methods", "datasets", "encoders", "models"]

_REMEMBERED = {
    "datasets": ("dataset", ("embeddings", "dynamics")),
    "encoders": ("encoder", ("embeddings",)),
    "models": ("model", ("dynamics",)),
}
"""Where the store names the plugins that were used: the input's name in a record, and kinds of stages."""
_LATEST = 10
"""Number of calls shown below a table: enough for one project's names, few enough to fit on a screen."""


def show(kind: Kind, cache_dir: Path | None = None) -> None:
    """Print a table of the plugins, and a list of those that were used before."""
    from rich.console import Console
    from rich.table import Table

    from bench import plugins

    registry: Registry[Any] = getattr(plugins, kind)
    columns = {
        "methods": ("supervision", "parameters", "source"),
        "datasets": ("classes", "parameters", "recipe", "source"),
        "encoders": ("supervision", "parameters", "source"),
        "models": ("inputs", "parameters", "source"),
    }[kind]
    table = Table("name", *columns, "what it does", title=kind, title_justify="left", expand=False)
    for entry in registry:
        table.add_row(entry.name, *(_cell(entry, column) for column in columns), entry.summary)
    console = Console()
    if not console.is_terminal:
        # Piped output has no width, and at rich's 80 the columns would be a word wide.
        console.width = max(console.width, 200)
    console.print(table)
    if kind == "datasets":
        console.print(
            "Any of them can be made long-tailed and noisy: NAME@imbalance=100@noise=0.2@seed=0.", soft_wrap=True
        )

    used = _used_before(kind, cache_dir)
    if used:
        label = "Proxies" if kind == "models" else kind.capitalize()
        console.print(f"{label} in this machine's cache, the last used first:", soft_wrap=True)
        for call in used[:_LATEST]:
            console.print(f"  {call}", soft_wrap=True, markup=False, highlight=False)
        if len(used) > _LATEST:
            console.print(f"  and {len(used) - _LATEST} more (--json has all)", soft_wrap=True)


def document(kind: Kind, cache_dir: Path | None = None) -> dict[str, Any]:
    """Return the listing as plain values."""
    from bench import plugins

    registry: Registry[Any] = getattr(plugins, kind)
    return {kind: [_plain(entry, kind) for entry in registry], "used_before": _used_before(kind, cache_dir)}


def _used_before(kind: Kind, cache_dir: Path | None) -> list[str]:
    """Return the calls of the shared stages in the cache; none if the cache cannot be read."""
    from bench import plugins
    from bench.store.folder import cache_folder
    from bench.store.inventory import used_before

    if kind not in _REMEMBERED:
        return []
    # Names of plugins that are not installed now, and the items of ``bench select``, cannot be used in a call.
    known = {entry.name for entry in getattr(plugins, kind)}
    calls: list[str] = []
    with suppress(OSError):
        calls = used_before(cache_folder(cache_dir), *_REMEMBERED[kind])
    return [call for call in calls if re.split(r"[(@]", call)[0] in known]


def matching(kind: Kind, text: str) -> dict[str, Any]:
    """Return the registered plugins, and those of installed libraries, whose names contain a text."""
    from bench import plugins
    from bench.zoo import search

    registry: Registry[Any] = getattr(plugins, kind)
    registered = [
        search.Match(entry.name, _cell(entry, "supervision") if kind == "encoders" else "")
        for entry in registry
        if text.lower() in entry.name.lower()
    ]
    others = {
        "methods": lambda text: (),
        "datasets": search.datasets_like,
        "encoders": search.encoders_like,
        "models": search.models_like,
    }[kind]
    matches = [*registered, *others(text)]
    missing = search.not_installed() if kind in ("encoders", "models") else []
    return {kind: [match._asdict() for match in matches], "not_installed": missing}


def show_matches(kind: Kind, text: str) -> None:
    """Print the matches of ``matching``, one call per line, for copying."""
    import typer

    result = matching(kind, text)
    for match in result[kind]:
        typer.echo(f"{match['call']}  {match['trained_with']}".rstrip())
    if not result[kind]:
        typer.echo(f"no {kind} have {text!r} in their names")
    for missing in result["not_installed"]:
        typer.echo(f"not searched, since it is not installed: {missing}", err=True)


def show_reference(kind: Kind) -> None:
    """Print the reference page of the methods."""
    import typer

    from bench.errors import SpecError
    from bench.reference.methods import methods_page

    if kind != "methods":
        raise SpecError(f"--markdown prints the reference of methods, not of {kind}.")
    typer.echo(methods_page(), nl=False)


def _plain(entry: Entry[Any], kind: Kind) -> dict[str, Any]:
    known = {
        "name": entry.name,
        "what": entry.summary,
        # ``download`` is not a parameter of a call: the harness sets it from ``--download``.
        "parameters": {item.name: item.default for item in entry.params.values() if item.name != "download"},
        "source": _cell(entry, "source"),
        "version": entry.info.version,
    }
    if kind == "datasets":
        return {**known, "classes": entry.info.num_classes}
    column = "inputs" if kind == "models" else "supervision"
    return {**known, column: _cell(entry, column)}


def _cell(entry: Entry[Any], column: str) -> str:
    info = entry.info
    if column == "parameters":
        names = [item for item in entry.params.values() if item.name != "download"]
        return ", ".join(f"{item.name}={item.default}" for item in names) or "-"
    if column == "classes":
        return "from disk" if info.num_classes is None else str(info.num_classes)
    if column == "recipe":
        recipe = info.recipe
        return f"{info.model}, {recipe.iterations} iterations, proxy {recipe.proxy_epochs} epochs; {info.encoder}"
    if column == "source":
        return (info.paper if hasattr(info, "paper") else info.source) or entry.origin
    value = getattr(info, column)
    return "by its weights" if callable(value) else str(value)
