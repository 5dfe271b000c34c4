"""``bench cache``: list, verify and delete the stored artifacts of shared stages."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bench.cli._command import Command, Commands
from bench.cli._output import JsonOption, print_json
from bench.store.folder import cache_folder

if TYPE_CHECKING:
    from bench.store.inventory import Stored

cache = typer.Typer(
    name="cache",
    cls=Commands,
    help="List, verify and delete the shared stages on disk: embeddings, neighbours, pseudo-labels, proxy dynamics, "
    "selections.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Folder = Annotated[
    Path | None,
    typer.Option(
        "--cache-dir", help="Folder of shared stages. Default: the user's cache folder.", envvar="BENCH_CACHE_DIR"
    ),
]
Kinds = Annotated[
    str | None, typer.Option(help="Kinds of stages, comma-separated: 'selection,dynamics'. Default: all.")
]


@cache.command("list", cls=Command)
def list_stages(
    cache_dir: Folder = None,
    kind: Kinds = None,
    long: Annotated[bool, typer.Option("--long", "-l", help="Print one line per artifact.")] = False,
    json_output: JsonOption = False,
) -> None:
    """Show the number, size and age of the artifacts of each kind."""
    import time

    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    from bench.store.inventory import closed_kinds
    from bench.units import show_bytes, show_seconds

    root, items = _artifacts(cache_dir, kind)
    closed = closed_kinds(root)
    if json_output:
        print_json({"folder": str(root), "artifacts": [_plain(item) for item in items], "closed": closed})
        return
    console = Console(highlight=False, markup=False)
    if not console.is_terminal:
        # Piped output has no width, and at rich's 80 titles would break.
        console.width = max(console.width, 160)
    now = time.time()
    table = Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=False)
    columns = ("kind", "key", "what", "size", "age", "last used") if long else ("kind", "number", "size", "age", "used")
    for name in columns:
        table.add_column(name, justify="left" if name in ("kind", "key", "what") else "right")
    if long:
        for item in items:
            ages = (show_seconds(now - item.created), f"{show_seconds(now - item.used)} ago")
            table.add_row(item.kind, item.key[:12], item.title, show_bytes(item.size), *ages)
    else:
        for name in dict.fromkeys(item.kind for item in items):
            group = [item for item in items if item.kind == name]
            oldest, newest = (show_seconds(now - pick(item.created for item in group)) for pick in (min, max))
            used = f"{show_seconds(now - max(item.used for item in group))} ago"
            ages = (oldest if oldest == newest else f"{newest} to {oldest}", used)
            table.add_row(name, f"{len(group):,}", show_bytes(sum(item.size for item in group)), *ages)
    if items:
        console.print(table)
        console.print()
    console.print(f"{_amount(items)} in {root}", soft_wrap=True)
    _print_closed(closed)


@cache.command(cls=Command)
def verify(cache_dir: Folder = None, kind: Kinds = None, json_output: JsonOption = False) -> None:
    """Read every artifact and compare its checksum; exit code 1 if one is damaged or not readable for this user.

    Damage costs only time: a run that needs the artifact computes it again.
    """
    from bench.store.inventory import closed_kinds

    root, items = _artifacts(cache_dir, kind)
    broken, unread = _examined(items)
    closed = closed_kinds(root)
    if json_output:
        damaged, unreadable = (
            [{**_plain(item), "reason": reason} for item, reason in listed] for listed in (broken, unread)
        )
        faults = {"damaged": damaged, "unreadable": unreadable, "closed": closed}
        print_json({"folder": str(root), "artifacts": len(items), **faults})
    else:
        for state, listed in (("damaged", broken), ("unreadable", unread)):
            for item, reason in listed:
                typer.echo(f"{state}: {item.kind} {item.key}: {reason}")
        also = f", {len(unread)} cannot be read" if unread else ""
        typer.echo(f"{_amount(items)} in {root}: {len(broken)} damaged{also}.")
        if broken:
            typer.echo("A run computes them again; `bench cache prune --damaged` deletes them.")
        _print_closed(closed)
    # Folders that could not be opened are not known to be sound.
    if broken or unread or closed:
        raise typer.Exit(1)


@cache.command(cls=Command)
def prune(
    cache_dir: Folder = None,
    kind: Kinds = None,
    older_than: Annotated[
        str | None, typer.Option(help="Delete artifacts that are at least this old: '30d', '12h'.")
    ] = None,
    unused_for: Annotated[
        str | None, typer.Option(help="Delete artifacts that were not read for this long: '30d', '12h'.")
    ] = None,
    max_size: Annotated[
        str | None,
        typer.Option(help="Delete the longest unused artifacts, until the rest has at most this size: '50GB'."),
    ] = None,
    damaged: Annotated[bool, typer.Option("--damaged", help="Delete artifacts that `verify` reports.")] = False,
    everything: Annotated[bool, typer.Option("--all", help="Delete all artifacts, or all of --kind.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be deleted, without deleting it.")
    ] = False,
    json_output: JsonOption = False,
) -> None:
    """Delete the artifacts that meet all given conditions, and files that killed processes left behind.

    Rows do not need them: a deleted artifact costs only the time to compute it again.
    """
    from bench.errors import SpecError
    from bench.store.inventory import remove, sweep, to_prune
    from bench.units import parse_bytes, parse_seconds, show_bytes

    conditions = (older_than, unused_for, max_size, damaged or None)
    # Neither or both: a command without conditions deletes nothing, and --all would overrule conditions beside it.
    if everything == any(condition is not None for condition in conditions):
        raise SpecError("say what to delete: --older-than, --unused-for, --max-size or --damaged, or else --all.")
    limits = {
        "older_than": None if older_than is None else parse_seconds(older_than),
        "unused_for": None if unused_for is None else parse_seconds(unused_for),
    }
    largest = None if max_size is None else parse_bytes(max_size)
    root, items = _artifacts(cache_dir, kind)
    if damaged:
        # Only the damaged: an artifact that this user may not read may be sound.
        items = [item for item, _ in _examined(items)[0]]
    chosen = to_prune(items, max_bytes=largest, **limits)
    summary: dict[str, Any] = {"folder": str(root), "dry_run": dry_run}
    if dry_run and json_output:
        print_json(
            # With the keys of a deletion, so that a program reads both in the same way.
            {**summary, "artifacts": [_plain(item) for item in chosen], "kept": 0, "refused": [], "temporary_bytes": 0}
        )
        return
    if dry_run:
        for item in chosen:
            typer.echo(f"would delete {item.kind} {item.key[:12]} ({show_bytes(item.size)}) {item.title}")
        typer.echo(f"{_amount(chosen)} of {root} would be deleted.")
        return
    deleted, in_use, forbidden = [], 0, []
    for item in chosen:
        try:
            # An artifact that this user may not delete must not keep the others.
            if remove(item):
                deleted.append(item)
            else:
                in_use += 1
        except OSError as error:
            forbidden.append((item, error.strerror or str(error)))
    freed = sweep(root)
    if json_output:
        refused = [{**_plain(item), "reason": reason} for item, reason in forbidden]
        artifacts = [_plain(item) for item in deleted]
        print_json({**summary, "artifacts": artifacts, "kept": in_use, "refused": refused, "temporary_bytes": freed})
    else:
        more = f", and {show_bytes(freed)} of abandoned temporary files" if freed else ""
        typer.echo(f"{_amount(deleted)} deleted from {root}{more}.")
        if in_use:
            typer.echo(f"{in_use} kept: a running process is making them.")
        for item, reason in forbidden:
            typer.echo(f"not deleted: {item.kind} {item.key}: {reason}")
    if forbidden:
        raise typer.Exit(1)


def _examined(items: list[Stored]) -> tuple[list[tuple[Stored, str]], list[tuple[Stored, str]]]:
    """Return the artifacts that are damaged and those that cannot be read, each with the reason."""
    from bench.store.inventory import Unreadable, damage

    broken, unread = [], []
    for item in items:
        try:
            if (reason := damage(item)) is not None:
                broken.append((item, reason))
        except Unreadable as error:
            unread.append((item, str(error)))
    return broken, unread


def _print_closed(kinds: list[str]) -> None:
    if kinds:
        typer.echo(f"Not examined, since this user may not read them: {', '.join(kinds)} (docs/long-runs.md).")


def _artifacts(cache_dir: Path | None, kind: str | None) -> tuple[Path, list[Stored]]:
    from bench.errors import SpecError
    from bench.store.inventory import kinds_in, stored

    root = cache_folder(cache_dir)
    kinds = [word.strip() for word in kind.split(",")] if kind else []
    try:
        present = kinds_in(root)
    except OSError as error:
        raise SpecError(f"cannot read the cache folder {root}: {error.strerror}.") from error
    for name in kinds:
        if name not in present:
            raise SpecError(f"{root} has no artifacts of kind {name!r}; it has {', '.join(present) or 'none at all'}.")
    return root, stored(root, kinds)


def _plain(item: Stored) -> dict[str, Any]:
    return {
        "kind": item.kind,
        "key": item.key,
        "title": item.title,
        "bytes": item.size,
        "created": item.created,
        "used": item.used,
    }


def _amount(items: list[Stored]) -> str:
    from bench.units import counted, show_bytes

    return f"{counted(len(items), 'artifact')}, {show_bytes(sum(item.size for item in items))},"
