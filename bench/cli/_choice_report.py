"""The report that ``bench select`` prints about a choice."""

from __future__ import annotations

from typing import Any

import typer

from bench.cli._output import print_json


def headline(summary: dict[str, Any]) -> str:
    """Return the first line: the numbers of items and clusters, and the method."""
    from bench.units import counted

    parameters = "".join(f", {name} = {value:g}" for name, value in summary["chosen"].items())
    spread = ""
    if summary["clusters"] is not None:
        spread = f", from {summary['clusters']:,} of {counted(summary['clusters_in_all'], 'cluster')}"
    if summary["whole_groups"]:
        spread += f", in {counted(summary['whole_groups'], 'whole group')}"
    return f"{summary['budget']:,} of {summary['items']:,} items chosen by {summary['method']}{parameters}{spread}."


def complement(summary: dict[str, Any]) -> str:
    """Return the line about the labelled items that the choice complements; empty without such items."""
    from bench.units import counted

    if not summary["labelled"]:
        return ""
    empty, both, total = (summary[key] for key in ("listed_without_label", "clusters_with_labelled", "clusters_in_all"))
    return (
        f"They complement {counted(summary['labelled'], 'labelled item')}"
        + (f"; {counted(empty, 'line')} of that list without a label did not count." if empty else ".")
        + ("" if both is None else f" Together they come from {both:,} of {counted(total, 'cluster')}.")
    )


def report(summary: dict[str, Any], as_json: bool) -> None:
    """Print the summary, as JSON or in words; warnings go to standard error."""
    for line in summary["warnings"]:
        typer.echo(f"Warning: {line}", err=True)
    if as_json:
        print_json(summary)
        return
    typer.echo(headline(summary))
    if summary["judged"]:
        from bench.labelling.compared import judgement_lines

        for line in judgement_lines(summary["judged"], summary["taken"]):
            typer.echo(line)
    if summary["labelled"]:
        typer.echo(complement(summary))
    if "beta" in summary["chosen"]:
        typer.echo(
            "beta was chosen without labels. In our measurements, such a coreset was seldom shown to be better than a "
            "random one (docs/label-free-beta.md)."
        )
    if summary["approximate_neighbors"]:
        typer.echo(
            "With this many items, nearest neighbours were found approximately (docs/choose-images-to-label.md)."
        )
    if summary["duplicates_left_out"]:
        typer.echo(f"Near-duplicates left out: {summary['duplicates_left_out']:,}.")
    if summary["grouped_left_out"]:
        typer.echo(f"Left out by --per-group: {summary['grouped_left_out']:,}.")
    if summary["skipped_files"]:
        typer.echo(f"Files that could not be read: {summary['skipped_files']:,}, listed in {summary['skipped']}")
    if "frames" in summary:
        typer.echo(f"Pictures of the videos are in {summary['frames']}, named by video and time.")
    if summary.get("other_files"):
        from bench.labelling.images import heic_hint, readable_suffixes

        listed = ", ".join(
            f"{count:,} {suffix or 'without suffix'}" for suffix, count in summary["other_files"].items()
        )
        typer.echo(
            f"Files of other kinds, which were ignored: {listed}. Images are {', '.join(readable_suffixes())}."
            + heic_hint(summary["other_files"])
        )
    names = ("to_label", "page", "contact_sheet", "scores")
    written = [*(summary[name] for name in names if name in summary), *summary.get("handed_over", ())]
    typer.echo(f"Written: {', '.join(written)}")
